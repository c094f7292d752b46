"""Feature reuse as pictures: similarity of layers, lesions, branches, ranks; as sections of a page and as
PNG.

A group is what `anatomy.look` found, with a name: `{"name": "depth 20, seed 0", "networks": [...], "cka":
[...]}`.
"""

import numpy as np
import plotly.subplots

from keras_kd import pages, plots

TITLE = "Feature reuse"

# The numbers of a network, in the order of tables.
TITLES = {
    "accuracy": "accuracy on these images",
    "lesion_drop": "drop when a block is silenced, mean",
    "lesion_worst": "drop, worst block",
    "swap_drop": "drop when two blocks are swapped",
    "branch_ratio": "||F(x)|| / ||x||, mean over blocks",
    "branch_cosine": "cosine of F(x) and x",
    "cka_neighbours": "CKA of neighbouring layers",
    "cka_first": "CKA with the first network, layer by layer",
    "effective_rank": "effective rank, mean over layers",
    "probe_middle": "linear classifier on the middle layer",
}


WORDS = (
    "Drops of accuracy are over the blocks that can be silenced in all networks, CKA and ranks over layers; "
    "the first network is {first}."
)


def sections(group, name):
    """The sections of a page about one group.

    Args:
      group: see above.
      name: prefix of the sections' ids.

    Returns:
      A list; see `pages.section`.
    """
    found = [
        _similarity(group, name),
        _lesions(group, name),
        _many_lesions(group, name),
        _branches(group, name),
        _by_layer(group, name, "probes", "Linear classifiers", "test accuracy", _PROBES),
        _by_layer(group, name, "ranks", "Effective rank", "effective rank, dimensions", _RANKS),
        _spectra(group, name),
    ]
    return [section for section in found if section]


def overview(group, name):
    """The sections of a study's page about one of its groups."""
    return [section for section in (_similarity(group, name), _lesions(group, name)) if section]


_PROBES = (
    "Accuracy on test of a logistic regression on each layer's features, averaged over the image (Alain & "
    "Bengio 2017): where the classes become easy to tell."
)
_RANKS = (
    "How many dimensions the channels make use of: exp of the entropy of the normalised singular values "
    "(Roy & Vetterli 2007). The table counts a layer's channels in the same unit."
)


def _similarity(group, name):
    pairs = group["cka"]
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    titles = [_pair(pair) for pair in pairs]
    figure = plotly.subplots.make_subplots(
        rows, columns, subplot_titles=titles, horizontal_spacing=0.09, vertical_spacing=0.12
    )
    for number, pair in enumerate(pairs):
        figure.add_heatmap(
            z=pair["values"],
            x=pair["layers_y"],
            y=pair["layers_x"],
            zmin=0,
            zmax=1,
            colorscale="Magma",
            showscale=not number,
            colorbar={"title": "CKA"},
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
            row=number // columns + 1,
            col=number % columns + 1,
        )
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False, autorange="reversed")
    figure.update_layout(height=60 + 300 * rows, margin={"l": 20, "r": 10, "t": 60, "b": 20})
    figure.update_layout(template="plotly_white")
    words = (
        "Linear CKA, unbiased over minibatches (Kornblith et al. 2019, Nguyen et al. 2021), of every layer "
        "with every layer, from input (top left) to output. Like neighbours, a bright band along the "
        "diagonal, mean that a block hands on most of what it was given."
    )
    table = (["networks", "mean along the diagonal"], [[_pair(p), pages.number(_diagonal(p))] for p in pairs])
    return pages.section(f"{name}-cka", f"Which layers are alike: {group['name']}", words, figure, table)


def _pair(pair):
    return pair["x"] if pair["x"] == pair["y"] else f"{pair['x']} and {pair['y']}"


def _diagonal(pair):
    values = np.array(pair["values"], float)
    return float(np.nanmean(np.diagonal(values))) if values.shape[0] == values.shape[1] else None


def _with(group, key):
    return [(number, each) for number, each in enumerate(group["networks"]) if each.get(key)]


def _style(number):
    colour = plots.COLOURS[number % len(plots.COLOURS)]
    return {
        "line": {"color": colour},
        "marker": {"symbol": number % pages.SYMBOLS, "size": 8, "color": colour},
    }


def _lesions(group, name):
    patients = [(number, each) for number, each in _with(group, "lesions") if each["lesions"]["single"]]
    if not patients:
        return None
    figure = pages.figure("block that is silenced", "accuracy, %")
    for number, network in patients:
        single = network["lesions"]["single"]
        figure.add_bar(
            x=list(single),
            y=[100 * value for value in single.values()],
            name=f"{network['label']} (intact {100 * network['accuracy']:.1f} %)",
            marker_color=plots.COLOURS[number % len(plots.COLOURS)],
            hovertemplate="%{x}: %{y:.1f} %" + pages.NAME,
        )
    figure.update_layout(barmode="group")
    left_out = {block for _, network in patients for block in network["cannot_be_silenced"]}
    words = (
        "Accuracy when one block is silenced (Veit et al. 2016): with a shortcut its branch is left out, "
        "without one the whole block is skipped."
    )
    if left_out:
        words += (
            f" Without shortcuts nothing can take the place of {', '.join(sorted(left_out))}, which change "
            f"the shape; they are left out for all networks."
        )
    blocks = list(patients[0][1]["lesions"]["single"])
    rows = [
        [block, *(pages.percent(network["lesions"]["single"][block]) for _, network in patients)]
        for block in blocks
    ]
    table = (["silenced", *(network["label"] for _, network in patients)], rows)
    return pages.section(f"{name}-lesions", f"One block silenced: {group['name']}", words, figure, table)


def _many_lesions(group, name):
    patients = _with(group, "lesions")
    if not any(each["lesions"]["silenced"] or each["lesions"]["swapped"] for _, each in patients):
        return None
    figure = pages.figure("number of blocks silenced, or of swaps", "accuracy, % (mean over draws)")
    for number, network in patients:
        for kind, dash in (("silenced", "solid"), ("swapped", "dot")):
            draws = network["lesions"][kind]
            if draws:
                style = _style(number)
                style["line"] = {**style["line"], "dash": dash}
                figure.add_scatter(
                    x=[0, *map(int, draws)],
                    y=[
                        100 * network["accuracy"],
                        *(100 * float(np.mean(values)) for values in draws.values()),
                    ],
                    name=f"{network['label']}, {kind}",
                    hovertemplate="%{x}: %{y:.1f} %" + pages.NAME,
                    **style,
                )
    words = "Random blocks silenced together, and random pairs of one stage swapped one after the other."
    return pages.section(f"{name}-many", f"Several blocks: {group['name']}", words, figure)


def _branches(group, name):
    networks = _with(group, "branches")
    if not networks:
        return None
    figure = plotly.subplots.make_subplots(1, 2, subplot_titles=["||F(x)|| / ||x||", "cosine of F(x) and x"])
    for number, network in networks:
        for column, key in enumerate(("ratio", "cosine"), 1):
            figure.add_scatter(
                x=list(network["branches"]),
                y=[branch[key] for branch in network["branches"].values()],
                name=network["label"],
                legendgroup=network["label"],
                showlegend=column == 1,
                mode="lines+markers",
                hovertemplate="%{x}: %{y:.2f}" + pages.NAME,
                row=1,
                col=column,
                **_style(number),
            )
    figure.update_layout(
        template="plotly_white",
        height=440,
        margin={"l": 40, "r": 10, "t": 60, "b": 40},
        legend={"orientation": "h"},
    )
    figure.update_xaxes(showticklabels=False)
    words = (
        "How much a block changes what it is given, block by block (Jastrzebski et al. 2018). With a "
        "shortcut F is the branch and x the skip; without, x is the block's input and F what it makes of "
        "it, where shapes allow."
    )
    blocks = dict.fromkeys(block for _, each in networks for block in each["branches"])
    rows = [[block, *(_branch(each["branches"].get(block)) for _, each in networks)] for block in blocks]
    table = (["block", *(f"{each['label']}: ratio, cosine" for _, each in networks)], rows)
    return pages.section(f"{name}-branches", f"What blocks add: {group['name']}", words, figure, table)


def _branch(found):
    return "n/a" if found is None else f"{pages.number(found['ratio'])}, {pages.number(found['cosine'])}"


def _by_layer(group, name, key, title, y_title, words):
    networks = _with(group, key)
    if not networks:
        return None
    figure = pages.figure("layer, from the input", y_title)
    for number, network in networks:
        figure.add_scatter(
            x=list(range(1, len(network[key]) + 1)),
            y=network[key],
            customdata=network["layers"],
            name=network["label"],
            mode="lines+markers",
            hovertemplate="%{customdata}: %{y:.3g}" + pages.NAME,
            **_style(number),
        )
    most = max(networks, key=lambda pair: len(pair[1]["layers"]))[1]["layers"]
    rows = [
        [
            layer,
            *(pages.number(each[key][place]) if place < len(each[key]) else "n/a" for _, each in networks),
        ]
        for place, layer in enumerate(most)
    ]
    table = (["layer", *(each["label"] for _, each in networks)], rows)
    return pages.section(f"{name}-{key}", f"{title}: {group['name']}", words, figure, table)


def _spectra(group, name):
    figure = pages.figure("rank", "singular value of the last layer's features")
    for number, network in enumerate(group["networks"]):
        values = network["spectra"][-1]
        figure.add_scatter(
            x=list(range(1, len(values) + 1)),
            y=[value or None for value in values],
            name=network["label"],
            mode="lines+markers",
            hovertemplate="%{x}: %{y:.3g}" + pages.NAME,
            **_style(number),
        )
    figure.update_yaxes(type="log")
    words = "Standard deviations along the principal axes of the last layer's channels; zeros are not drawn."
    return pages.section(f"{name}-spectra", f"Spectra: {group['name']}", words, figure)


# --------------------------------------------------------------------------- PNG


def pictures(group):
    """`{name: matplotlib figure}`: similarity, lesions, ranks."""
    found = {"cka": _similarity_picture(group["cka"]), "ranks": _rank_picture(group["networks"])}
    patients = [each for _, each in _with(group, "lesions") if each["lesions"]["single"]]
    return found | ({"lesions": _lesion_picture(patients)} if patients else {})


def _similarity_picture(pairs):
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    figure = plots.blank(3.4 * columns + 0.6, 3.4 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, pair in zip(axes, pairs, strict=False):
        drawn = axis.imshow(np.array(pair["values"], float), vmin=0, vmax=1, cmap="magma")
        axis.set_title(_pair(pair), fontsize=9)
    for axis in axes[len(pairs) :]:
        axis.set_axis_off()
    figure.colorbar(drawn, ax=axes, label="CKA")
    return figure


def _lesion_picture(patients):
    blocks = list(patients[0]["lesions"]["single"])
    figure = plots.blank(max(6, 0.5 * len(blocks) + 2), 4)
    axis = figure.subplots()
    width = 0.8 / len(patients)
    for number, network in enumerate(patients):
        heights = [100 * value for value in network["lesions"]["single"].values()]
        label = f"{network['label']} (intact {100 * network['accuracy']:.1f} %)"
        places = np.arange(len(blocks)) + (number - (len(patients) - 1) / 2) * width
        axis.bar(places, heights, width, color=plots.COLOURS[number], label=label)
    axis.set_xticks(np.arange(len(blocks)), blocks, rotation=90, fontsize=8)
    axis.set_ylabel("accuracy with this block silenced, %")
    axis.grid(alpha=0.3, axis="y")
    axis.legend(fontsize=8)
    return figure


def _rank_picture(networks):
    figure = plots.blank(6, 4)
    axis = figure.subplots()
    for network, colour, marker in zip(networks, plots.COLOURS, "osD^vPX*", strict=False):
        places = np.arange(1, len(network["ranks"]) + 1)
        axis.plot(places, network["ranks"], color=colour, marker=marker, label=network["label"])
    axis.set_xlabel("layer, from the input")
    axis.set_ylabel("effective rank")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
