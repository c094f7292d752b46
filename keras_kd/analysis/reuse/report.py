"""Feature reuse as pictures: trainings, similarity of layers, lesions, branches, probes, ranks, spectra; as
sections of a page and as PNG.

A group is a `results.GroupResult` of a `ReuseResult`.
"""

import itertools

import numpy as np

from keras_kd.analysis.reports import AnalysisReport
from keras_kd.analysis.reuse import answer, training_report
from keras_kd.analysis.reuse.results import ReuseResult
from keras_kd.reporting import charts, formatting

# The numbers of a network, in the order of tables.
_MEASURES = {
    "accuracy": "accuracy on these images, %",
    "lesion_drop": "drop when a block is silenced, mean, points",
    "lesion_worst": "drop, worst block, points",
    "swap_drop": "drop when two blocks are swapped, points",
    "branch_ratio": "||F(x)|| / ||x||, mean over blocks that all have",
    "branch_cosine": "cosine of F(x) and x, mean over blocks that all have",
    "cka_neighbours": "CKA of neighbouring layers",
    "cka_first": "CKA with the first network, layer by layer",
    "effective_rank": "effective rank, mean over layers, dimensions",
    "probe_middle": "linear classifier on the middle layer, % right",
}

_WORDS = (
    "Drops of accuracy are over the blocks that can be silenced, and the pairs that can be swapped, in all "
    "networks; ||F(x)|| / ||x|| and cosine over the blocks that have them in all; CKA and ranks over layers. "
    "The first network is {first}."
)


def sections(group, name):
    """The sections of a page about one group.

    Args:
      group: see above.
      name: prefix of the sections' ids.

    Returns:
      A list; see `html.section`.
    """
    drawn = charts_of(group)
    main = next((chart for chart in drawn if chart.name == "lesions"), drawn[0])
    others = [chart for chart in drawn if chart is not main]
    return [charts.section(chart, name=name) for chart in (main, *others)]


def overview(group, name):
    """The sections of a study's page about one of its groups; arguments and result as for `sections`."""
    drawn = [_similarity(group), _lesions(group)]
    return [charts.section(chart, group.name, name) for chart in drawn if chart]


def pictures(group):
    """`{name: matplotlib figure}`: all that the page shows."""
    return {chart.name: charts.to_matplotlib(chart) for chart in charts_of(group)}


def remarks(group):
    """What was left out, and for which network, in sentences."""
    return [
        f"{network.label} has no blocks, as none of its layers is named like stage1_block1_conv1: "
        + ("all its layers are compared in their place, and " * (network.compared == "all"))
        + "what asks for blocks (silenced, swapped, ||F(x)|| / ||x||) is left out for it."
        for network in group.result.networks
        if not network.has_blocks
    ]


def _with(group, key):
    """`[(number, network)]` of those that have it; the number chooses colour and marker."""
    return [(number, each) for number, each in enumerate(group.result.networks) if getattr(each, key)]


def _similarity(group):
    pairs = group.result.cka
    words = (
        "Linear CKA, unbiased over minibatches (Kornblith et al. 2019, Nguyen et al. 2021), of every layer "
        "with every layer, from input (top left) to output. Like neighbours, a bright band along the "
        "diagonal, mean that a block hands on most of what it was given."
    )
    words = " ".join([words, *remarks(group)])
    table = (
        ["networks", "mean along the diagonal"],
        [[_pair(p), formatting.number(_diagonal(p))] for p in pairs],
    )
    panels = [charts.HeatmapPanel(_pair(pair), pair.values, pair.layers_x, pair.layers_y) for pair in pairs]
    colours = charts.ColourScale("CKA", 0.0, 1.0, "magma")
    return charts.Chart("cka", "Which layers are alike", words, panels, table, colours)


def _pair(pair):
    return pair.x if pair.x == pair.y else f"{pair.x} and {pair.y}"


def _diagonal(pair):
    values = np.array(pair.values, float)
    return float(np.nanmean(np.diagonal(values))) if values.shape[0] == values.shape[1] else None


def _silenced_networks(group):
    return [(number, each) for number, each in _with(group, "lesions") if each.lesions.single]


def _lesions(group):
    networks = _silenced_networks(group)
    if not networks:
        return None
    blocks = _longest_first(network.lesions.single for _, network in networks)
    bars = [
        charts.Bars(
            f"{network.label} (intact {100 * network.accuracy:.1f} %)",
            number,
            [
                None if accuracy is None else 100 * accuracy
                for accuracy in map(network.lesions.single.get, blocks)
            ],
        )
        for number, network in networks
    ]
    rows = [
        [block, *(formatting.percent(network.lesions.single.get(block)) for _, network in networks)]
        for block in blocks
    ]
    table = (["silenced", *(network.label for _, network in networks)], rows)
    panel = charts.Panel("block that is silenced", "accuracy, %", bars=bars, categories=blocks)
    return charts.Chart("lesions", "One block silenced", _lesion_words(networks), [panel], table)


def _lesion_words(networks):
    words = (
        "Accuracy when one block is silenced (Veit et al. 2016): with a shortcut its branch is left out, "
        "without one the whole block is skipped."
    )
    left_out = {block for _, network in networks for block in network.cannot_be_silenced}
    if left_out:
        words += (
            f" Without shortcuts nothing can take the place of {', '.join(sorted(left_out))}, which change "
            f"the shape; they are left out for all networks."
        )
    return words


def charts_of(group):
    """The `Chart`s of a group; those for which it has numbers."""
    return [chart for describe in _CHARTS for chart in [describe(group)] if chart]


def _many_lesions(group):
    curves = [
        _draws(number, network, kind)
        for number, network in _with(group, "lesions")
        for kind in ("silenced", "swapped")
        if getattr(network.lesions, kind)
    ]
    words = "Random blocks silenced together, and random pairs of one stage swapped one after the other."
    panel = charts.Panel("number of blocks silenced, or of swaps", "accuracy, % (mean over draws)", curves)
    return charts.Chart("many", "Several blocks", words, [panel]) if curves else None


def _draws(number, network, kind):
    counts = [0, *map(int, getattr(network.lesions, kind))]
    means = [network.accuracy, *(float(np.mean(each)) for each in getattr(network.lesions, kind).values())]
    return charts.Curve(
        f"{network.label}, {kind}",
        number,
        counts,
        [100 * mean for mean in means],
        [f"{count} {kind}" for count in counts],
        line="dot" if kind == "swapped" else "solid",
    )


def _branches(group):
    networks = _with(group, "branches")
    blocks = _longest_first(network.branches for _, network in networks)
    panels = [
        charts.Panel("block, from the input", title, [_by_block(*each, key, blocks) for each in networks])
        for key, title in (("ratio", "||F(x)|| / ||x||"), ("cosine", "cosine of F(x) and x"))
    ]
    words = (
        "How much a block changes what it is given, block by block (Jastrzebski et al. 2018). With a "
        "shortcut F is the branch and x the skip; without, x is the block's input and F what it makes of "
        "it, where shapes allow."
    )
    rows = [[block, *(_branch(each.branches.get(block)) for _, each in networks)] for block in blocks]
    table = (["block", *(f"{each.label}: ratio, cosine" for _, each in networks)], rows)
    return charts.Chart("branches", "What blocks add", words, panels, table) if networks else None


def _longest_first(lists):
    """What stands in any list, in order."""
    return list(dict.fromkeys(itertools.chain(*sorted(lists, key=len, reverse=True))))


def _by_block(number, network, key, blocks):
    branches = network.branches
    x = [blocks.index(block) + 1 for block in branches]
    return charts.Curve(
        network.label, number, x, [getattr(each, key) for each in branches.values()], list(branches)
    )


def _branch(found):
    return "n/a" if found is None else f"{formatting.number(found.ratio)}, {formatting.number(found.cosine)}"


def _probes(group):
    words = (
        "Accuracy on test of a logistic regression on each layer's features, averaged over the image (Alain "
        "& Bengio 2017): where the classes become easy to tell."
    )
    return _by_layer(group, "probes", "Linear classifiers", "test accuracy, %", words, scale=100)


def _ranks(group):
    words = (
        "How many dimensions the channels make use of: exp of the entropy of the normalised singular values "
        "(Roy & Vetterli 2007)."
    )
    return _by_layer(group, "ranks", "Effective rank", "effective rank, dimensions", words)


def _by_layer(group, key, title, y_title, words, scale=1):
    networks = _with(group, key)
    if not networks:
        return None
    curves = [
        charts.Curve(
            network.label,
            number,
            list(range(1, len(getattr(network, key)) + 1)),
            [scale * value for value in getattr(network, key)],
            network.layers,
        )
        for number, network in networks
    ]
    most = max((curve.places for curve in curves), key=len)
    rows = [
        [layer, *(formatting.number(curve.y[i]) if i < len(curve.y) else "n/a" for curve in curves)]
        for i, layer in enumerate(most)
    ]
    table = (["layer", *(curve.label for curve in curves)], rows)
    return charts.Chart(key, title, words, [charts.Panel("layer, from the input", y_title, curves)], table)


def _spectra(group):
    curves = [_falling(number, each) for number, each in enumerate(group.result.networks)]
    words = "Standard deviations along the principal axes of the last layer's channels; zeros are not drawn."
    panel = charts.Panel("rank", "singular value of the last layer's features", curves, logarithmic="y")
    return charts.Chart("spectra", "Spectra", words, [panel])


def _falling(number, network):
    values = network.spectra[-1]
    ranks = list(range(1, len(values) + 1))
    return charts.Curve(
        network.label, number, ranks, [value or None for value in values], [f"rank {r}" for r in ranks]
    )


_CHARTS = (training_report.chart, _similarity, _lesions, _many_lesions, _branches, _probes, _ranks, _spectra)


REPORT = AnalysisReport(
    name="reuse",
    title="Feature reuse",
    measures=_MEASURES,
    compared=tuple(_MEASURES),
    answer=answer.answer,
    words=_WORDS,
    result_type=ReuseResult,
    sections=sections,
    overview=overview,
    pictures=pictures,
    remarks=remarks,
    percent=("accuracy", "lesion_drop", "lesion_worst", "swap_drop", "probe_middle"),
)
