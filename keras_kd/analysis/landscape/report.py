"""The landscape as pictures: surfaces to be turned together, contours with trajectories, spectra, lines; as
sections of a page and as PNG.

A group is a `results.GroupResult` of a `LandscapeResult`.
"""

import numpy as np
import plotly.subplots
from matplotlib import ticker

from keras_kd.analysis.landscape.results import LandscapeResult
from keras_kd.analysis.reports import AnalysisReport
from keras_kd.reporting import charts, figures, formatting, html

# The numbers of a network, in the order of tables.
_MEASURES = {
    "loss": "loss, nats",
    "standard_error": "standard error of the loss",
    "accuracy": "accuracy",
    "not_convex": "plane: share not convex",
    "plane_ratio": "plane: |smallest / largest| curvature",
    "hessian_ratio": "Hessian: |smallest / largest| over the plane",
    "largest_eigenvalue": "Hessian: largest eigenvalue",
    "trace": "Hessian: trace",
    "trace_error": "standard error of the trace",
    "smoothness": "gradient: largest change per length of a step",
    "holes": "plane: points whose loss is not finite",
    "hessian_holes": "plane: points where no eigenvalues are found",
}

_WORDS = (
    "The plane is the random one around each network; the Hessian's eigenvalue and trace are at the network "
    "itself, the ratio is the median over points of the plane. With ReLUs the Hessian does not see kinks, "
    "where a surface bends too; the plane, by differences, does."
)


# Lowest loss that a logarithmic height shows.
_FLOOR = 1e-4


# Turns all scenes of a picture with the one that is turned.
_TURN_TOGETHER = """
const plot = document.getElementById('{plot_id}');
let turning = false;
plot.on('plotly_relayout', change => {
  const key = Object.keys(change).find(name => /^scene\\d*\\.camera$/.test(name));
  if (!key || turning) return;
  turning = true;
  const scenes = Object.keys(plot._fullLayout || {}).filter(name => /^scene\\d*$/.test(name));
  const update = {};
  scenes.forEach(name => { update[name + '.camera'] = change[key]; });
  Plotly.relayout(plot, update).then(() => { turning = false; });
});
"""


def log_loss(losses):
    """log10 of losses, with what is below the floor on it and None, or a hole, as NaN."""
    values = np.array(losses, dtype=float)
    return np.log10(np.maximum(values, _FLOOR, where=np.isfinite(values), out=np.full(values.shape, np.nan)))


def sections(group, name):
    """The sections of a page about one group.

    Args:
      group: see above.
      name: prefix of the sections' ids.

    Returns:
      A list; see `html.section`.
    """
    around, through, trajectories = (
        group.result.planes_of(kind) for kind in ("around", "through", "trajectory")
    )
    found = [
        _surfaces(around, f"{name}-around", f"The surface around each network: {group.name}", _AROUND),
        _surfaces(through, f"{name}-through", f"The plane through all three: {group.name}", _THROUGH),
        _contours(through, f"{name}-map", f"The same plane as a map: {group.name}", _MAP),
        _contours(
            trajectories, f"{name}-ways", f"The trajectory of each training: {group.name}", _TRAJECTORY
        ),
        *(charts.section(chart, group.name, name) for chart in charts_of(group)),
        _left_out(group, f"{name}-left-out"),
    ]
    return [section for section in found if section]


def overview(group, name):
    """The sections of a study's page about one of its groups; few, as browsers draw few scenes at a time."""
    around, through = (group.result.planes_of(kind) for kind in ("around", "through"))
    found = [
        _surfaces(around, f"{name}-around", f"The surface around each network: {group.name}", _AROUND),
        _contours(through, f"{name}-map", f"The plane through all three: {group.name}", f"{_THROUGH} {_MAP}"),
    ]
    return [section for section in found if section]


_AROUND = (
    "Cross-entropy on a logarithmic height along two random directions, the same for all networks, each "
    "filter scaled to the network's own (Li et al. 2018). One colour scale; turn one surface and all turn."
)

_THROUGH = (
    "The plane that holds the weights of all three networks, which twins share name for name: read as a "
    "network with shortcuts and as one without. BatchNorm's statistics are measured again at each point."
)

_MAP = "Distances are Euclidean, in weights. The crosses are the networks."

_TRAJECTORY = (
    "The plane in which the training moved most (PCA of its snapshots), with its trajectory from the start "
    "to the end. BatchNorm's statistics are measured again at each point. What of the trajectory the plane "
    "does not hold is not seen."
)


def _range(planes):
    heights = np.concatenate([log_loss(plane.loss).reshape(-1) for plane in planes])
    finite = heights[np.isfinite(heights)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _caption(words, planes):
    holes = sum(plane.roughness.holes for plane in planes)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.concatenate(
            [
                np.ravel(np.array(plane.standard_error, float) / np.array(plane.loss, float))
                for plane in planes
            ]
        )
    shares = shares[np.isfinite(shares)]
    words = f"{words} {planes[0].examples:,} examples"
    if len(shares):
        words += (
            f"; the standard error of a point is {np.median(shares):.0%} of its loss (median of the points)"
        )
    words += "."
    return f"{words} Left as holes, as their loss is not finite: {holes}." if holes else words


def _titles(planes):
    return [f"as {plane.reader}" if plane.kind == "through" else plane.reader for plane in planes]


def _surfaces(planes, name, title, words):
    if not planes:
        return None
    figure = plotly.subplots.make_subplots(
        1, len(planes), specs=[[{"type": "surface"}] * len(planes)], subplot_titles=_titles(planes)
    )
    low, high = _range(planes)
    for number, plane in enumerate(planes, 1):
        figure.add_surface(
            x=plane.ticks[1],
            y=plane.ticks[0],
            z=log_loss(plane.loss),
            customdata=np.array(plane.loss, float),
            hovertemplate="loss %{customdata:.3g}<extra></extra>",
            cmin=low,
            cmax=high,
            colorscale="Viridis",
            showscale=number == len(planes),
            colorbar={"title": "log10 loss"},
            row=1,
            col=number,
        )
    axes = {"xaxis_title": "b", "yaxis_title": "a", "zaxis_title": "log10 loss", "zaxis_range": [low, high]}
    figure.update_scenes(**axes, aspectmode="cube", camera_eye={"x": 1.85, "y": 1.85, "z": 1.1})
    figure.update_layout(height=480, margin={"l": 0, "r": 0, "t": 60, "b": 0}, template="plotly_white")
    rows = [
        [
            heading,
            *(formatting.plain(getattr(plane.roughness, key)) for key in ("not_convex", "ratio")),
            plane.roughness.holes,
        ]
        for heading, plane in zip(_titles(planes), planes, strict=True)
    ]
    table = (["surface", "share not convex", "|smallest / largest| curvature", "holes"], rows)
    return html.section(name, title, _caption(words, planes), figure, table, script=_TURN_TOGETHER)


def _contours(planes, name, title, words):
    if not planes:
        return None
    figure = plotly.subplots.make_subplots(1, len(planes), subplot_titles=_titles(planes))
    low, high = _range(planes)
    for number, plane in enumerate(planes, 1):
        place = {"row": 1, "col": number}
        figure.add_contour(
            x=plane.ticks[1],
            y=plane.ticks[0],
            z=log_loss(plane.loss),
            zmin=low,
            zmax=high,
            colorscale="Viridis",
            showscale=number == len(planes),
            colorbar={"title": "log10 loss"},
            hovertemplate="%{x:.2f}, %{y:.2f}: log10 loss %{z:.2f}<extra></extra>",
            **place,
        )
        _add_trajectory(figure, plane, place)
    figure.update_layout(height=480, margin={"l": 50, "r": 10, "t": 60, "b": 40}, template="plotly_white")
    explained = [
        f"{heading}: {', '.join(f'{share:.0%}' for share in plane.explained)}"
        for heading, plane in zip(_titles(planes), planes, strict=True)
        if plane.explained
    ]
    words += f" Variance along the two axes: {'; '.join(explained)}." if explained else ""
    return html.section(name, title, _caption(words, planes), figure)


def _add_trajectory(figure, plane, place):
    """The trajectory of a training over a map, and the networks on it."""
    if plane.trajectory:
        a, b = zip(*plane.trajectory, strict=True)
        style = {"line": {"color": "white"}, "marker": {"color": "white", "size": 5}, "showlegend": False}
        figure.add_scatter(x=b, y=a, mode="lines+markers", hoverinfo="skip", **style, **place)
    figure.add_scatter(
        x=[mark[1] for mark in plane.marks.values()],
        y=[mark[0] for mark in plane.marks.values()],
        text=list(plane.marks),
        mode="markers+text",
        textposition="top center",
        textfont={"color": "white"},
        marker={"symbol": "x", "color": "white", "size": 9},
        showlegend=False,
        hovertemplate="%{text}<extra></extra>",
        **place,
    )


def _left_out(group, name):
    if not group.result.left_out:
        return None
    rows = [[reason] for reason in group.result.left_out]
    words = "What is asked for here and cannot be drawn of these networks, and why."
    return html.section(name, f"Left out: {group.name}", words, table=(["left out"], rows))


def charts_of(group):
    """The `charts.Chart`s of a group; those for which it has numbers."""
    networks = [
        (number, each) for number, each in enumerate(group.result.networks) if each.spectrum is not None
    ]
    lines = [_lines(group.result.lines)] if group.result.lines else []
    return [*lines, _spectra(networks), _steps(networks)] if networks else lines


def _lines(lines):
    curves, rows = [], []
    for number, line in enumerate(lines):
        for batch_norm, kind in _BATCH_NORM.items():
            between = " to ".join(line.between)
            places = [f"{share:.2f} of the way" for share in line.fractions]
            losses = line.loss[batch_norm]
            dashed = batch_norm == "keep"
            curves.append(charts.Curve(f"{between}, {kind}", number, line.fractions, losses, places, dashed))
            rows.append([between, kind, formatting.number(line.barrier[batch_norm]), line.holes[batch_norm]])
    words = (
        "The barrier is how far the loss rises above the straight line between the two networks' losses "
        "(Frankle et al. 2020, Entezari et al. 2022). Mixed statistics fit no network between, so the line "
        "that counts is the one whose statistics are measured again."
    )
    table = (["between", "BatchNorm's statistics", "barrier, nats", "points whose loss is not finite"], rows)
    panel = charts.Panel("share of the way from the first to the second", "loss, nats", curves)
    return charts.Chart("lines", "Between networks", words, [panel], table)


_BATCH_NORM = {"keep": "statistics mixed", "estimate": "statistics measured again"}


def _spectra(networks):
    curves = []
    for number, network in networks:
        ranks = list(range(1, len(network.spectrum) + 1))
        places = [f"rank {rank}" for rank in ranks]
        curves.append(charts.Curve(network.label, number, ranks, network.spectrum, places))
    words = (
        "Curvature at the networks themselves, in all of their weights that train (statistics of BatchNorm "
        "kept): the largest eigenvalues by Lanczos, the trace by Hutchinson's estimate. The table has all "
        "numbers of the networks."
    )
    panel = charts.Panel("rank", "largest eigenvalues of the Hessian", curves)
    return charts.Chart("spectra", "Curvature", words, [panel])


def _steps(networks):
    curves, rows = [], []
    for number, network in networks:
        step = network.step
        places = [f"rate {size:g}" for size in step.sizes]
        curves.append(charts.Curve(network.label, number, step.sizes, step.changes, places))
        rows.append([network.label, *map(formatting.number, step.changes)])
    words = (
        "How far the gradient after a step against it differs from the one before, divided by the length of "
        "the step (Santurkar et al. 2018): the less, the better a gradient tells what comes. The largest is "
        "mostly that of the smallest step, so a property of the place alone; longer steps see further."
    )
    titles = ("step size, as a learning rate", "change of the gradient per length of the step")
    panel = charts.Panel(*titles, curves, logarithmic="xy")
    return charts.Chart(
        "steps", "How far a gradient tells", words, [panel], (["network", *curves[0].places], rows)
    )


def pictures(group):
    """`{name: matplotlib figure}`: maps of the planes, and the curves."""
    files = {"around": "around", "through": "through", "trajectory": "way"}
    planes = {name: group.result.planes_of(kind) for kind, name in files.items()}
    found = {name: _maps(each) for name, each in planes.items() if each}
    return found | {chart.name: charts.to_matplotlib(chart) for chart in charts_of(group)}


def _maps(planes):
    figure = figures.blank(4.2 * len(planes) + 0.8, 4.0)
    axes = figure.subplots(1, len(planes), squeeze=False)[0]
    low, high = _range(planes)
    levels = np.linspace(low, high, 21)
    for axis, plane, title in zip(axes, planes, _titles(planes), strict=True):
        heights = np.ma.masked_invalid(log_loss(plane.loss))
        drawn = axis.contourf(plane.ticks[1], plane.ticks[0], heights, levels=levels, extend="both")
        axis.set_facecolor("lightgrey")  # holes
        if plane.trajectory:
            a, b = zip(*plane.trajectory, strict=True)
            axis.plot(b, a, "o-", color="white", markersize=3, linewidth=1)
        for label, (a, b) in plane.marks.items():
            axis.plot(b, a, "x", color="white")
            axis.annotate(
                label, (b, a), (0, 5), textcoords="offset points", color="white", ha="center", fontsize=8
            )
        axis.set_title(title, fontsize=10)
    figure.colorbar(drawn, ax=axes, label="log10 loss", ticks=ticker.MaxNLocator(6))
    return figure


REPORT = AnalysisReport(
    name="landscape",
    title="The loss landscape",
    measures=_MEASURES,
    compared=tuple(name for name in _MEASURES if not name.endswith(("_error", "holes"))),
    words=_WORDS,
    result_type=LandscapeResult,
    sections=sections,
    overview=overview,
    pictures=pictures,
)
