"""The landscape as pictures: surfaces to be turned together, contours with trajectories, spectra, lines; as
sections of a page and as PNG.

A group is a `results.GroupResult` of a `LandscapeResult`.
"""

import numpy as np

from keras_kd.analysis.landscape import answer, training_report
from keras_kd.analysis.landscape.results import LandscapeResult
from keras_kd.analysis.reports import AnalysisReport
from keras_kd.reporting import charts, formatting, html

# The numbers of a network, in the order of tables.
_MEASURES = {
    "loss": "loss, nats",
    "standard_error": "standard error of the loss, nats",
    "accuracy": "accuracy, %",
    "not_convex": "plane: share not convex, %",
    "plane_ratio": "plane: |smallest / largest| curvature",
    "hessian_ratio": "Hessian: |smallest / largest| over the plane",
    "curvature": "curvature along random directions, nats per square of a filter's norm",
    "largest_eigenvalue": "Hessian: largest eigenvalue",
    "trace": "Hessian: trace",
    "trace_error": "standard error of the trace",
    "smoothness": "gradient: largest change per length of a step",
    "holes": "plane: points whose loss is not finite",
    "hessian_holes": "plane: points where no eigenvalues are found",
}

_WORDS = (
    "The plane is the random one around each network; the curvature is the mean second derivative of the "
    "loss at the network along random directions like those of the plane, in nats per square of a filter's "
    "norm, so it does not depend on how large the weights are, as the Hessian's eigenvalue and trace do. The "
    "ratio is the median over points of the plane. With ReLUs no second derivative sees kinks, where a "
    "surface bends too; the plane, by differences, does."
)


# Lowest loss that a logarithmic height shows.
_FLOOR = 1e-4


def sections(group, name):
    """The sections of a page about one group.

    Args:
      group: see above.
      name: prefix of the sections' ids.

    Returns:
      A list; see `html.section`.
    """
    drawn = [*surfaces_of(group).values(), *maps_of(group).values(), *charts_of(group)]
    left_out = _left_out(group, f"{name}-left-out")
    return [charts.section(chart, name=name) for chart in drawn] + ([left_out] if left_out else [])


def overview(group, name):
    """The sections of a study's page about one of its groups; few, as browsers draw few scenes at a time."""
    drawn = [surfaces_of(group).get("around"), maps_of(group, _ALONE).get("through")]
    return [charts.section(chart, group.name, name) for chart in drawn if chart]


_AROUND = (
    "Cross-entropy on a logarithmic height along two random directions, the same for all networks, each "
    "filter scaled to the network's own, whose norm is the unit of the axes (Li et al. 2018). One scale for "
    "all; turn one surface and all turn."
)

_THROUGH = (
    "The plane that holds the weights of all three networks, which twins share name for name: read as a "
    "network with shortcuts and as one without. BatchNorm's statistics are measured again at each point."
)

_MAP = "Distances are Euclidean, in weights. The crosses are the networks."

# The map where no surface stands beside it.
_ALONE = ("map", "The plane through all three", f"{_THROUGH} {_MAP}")

_TRAJECTORY = (
    "The plane in which the training moved most (PCA of its snapshots), with its trajectory from the start "
    "to the end. BatchNorm's statistics are measured again at each point. Of a network that lost its "
    "shortcuts in training it is what would have been left of it. What of the trajectory the plane does not "
    "hold is not seen."
)


def surfaces_of(group):
    """`{kind of planes: Chart}`: the losses as surfaces."""
    described = {
        "around": ("around", "The surface around each network", _AROUND),
        "through": ("through", "The plane through all three", _THROUGH),
    }
    return _charts_of_planes(group, described, is_surface=True)


def maps_of(group, through=None):
    """`{kind of planes: Chart}`: the losses as maps, with networks and trajectories on them.

    Args:
      group: see above.
      through: name, title and words of the plane through all three; None: as stands beside its surface.
    """
    described = {
        "through": through or ("map", "The same plane as a map", _MAP),
        "trajectory": ("ways", "The trajectory of each training", _TRAJECTORY),
    }
    return _charts_of_planes(group, described)


def _charts_of_planes(group, described, is_surface=False):
    found = {kind: group.result.planes_of(kind) for kind in described}
    return {
        kind: _chart_of_planes(planes, *described[kind], is_surface)
        for kind, planes in found.items()
        if planes
    }


def _chart_of_planes(planes, name, title, words, is_surface):
    explained = [
        f"{heading}: {', '.join(f'{share:.0%}' for share in plane.explained)}"
        for heading, plane in zip(_titles(planes), planes, strict=True)
        if plane.explained
    ]
    words += f" Variance along the two axes: {'; '.join(explained)}." if explained else ""
    panels = [_panel(plane, heading) for heading, plane in zip(_titles(planes), planes, strict=True)]
    return charts.Chart(
        name,
        title,
        _caption(words, planes),
        panels,
        _roughness_table(planes) if is_surface else None,
        _colours(planes),
        columns=len(panels),
        is_surface=is_surface,
    )


# Of a plane through weights, and of one around a network.
_AXES = (("b, distance", "a, distance"), ("b, filter norms", "a, filter norms"))


def _panel(plane, title):
    """A plane as a map: its coordinate b goes to the right, a upwards."""
    return charts.ContourPanel(
        title,
        *_AXES[plane.kind == "around"],
        plane.ticks[1],
        plane.ticks[0],
        plane.loss,
        {label: (b, a) for label, (a, b) in plane.marks.items()},
        [(b, a) for a, b in plane.trajectory or ()],
    )


def _roughness_table(planes):
    rows = [
        [
            heading,
            formatting.percent(plane.roughness.not_convex),
            formatting.plain(plane.roughness.ratio),
            plane.roughness.holes,
        ]
        for heading, plane in zip(_titles(planes), planes, strict=True)
    ]
    return ["surface", "share not convex, %", "|smallest / largest| curvature", "holes"], rows


def _colours(planes):
    losses = np.concatenate([np.ravel(np.array(plane.loss, float)) for plane in planes])
    losses = np.maximum(losses[np.isfinite(losses)], _FLOOR)
    low, high = (float(losses.min()), float(losses.max())) if len(losses) else (1.0, 10.0)
    return charts.ColourScale("loss, nats", low, high, is_logarithmic=True)


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


def _left_out(group, name):
    if not group.result.left_out:
        return None
    rows = [[reason] for reason in group.result.left_out]
    words = "What is asked for here and cannot be drawn of these networks, and why."
    return html.section(name, "Left out", words, table=(["left out"], rows))


def charts_of(group):
    """The `charts.Chart`s of a group; those for which it has numbers."""
    networks = [
        (number, each) for number, each in enumerate(group.result.networks) if each.spectrum is not None
    ]
    first = [_lines(group.result.lines)] if group.result.lines else []
    first += [chart for chart in [training_report.chart(group)] if chart]
    return [*first, _spectra(networks), _steps(networks)] if networks else first


def _lines(lines):
    curves, rows = [], []
    for number, line in enumerate(lines):
        for batch_norm, kind in _BATCH_NORM.items():
            between = " to ".join(line.between)
            places = [f"{share:.2f} of the way" for share in line.fractions]
            losses = line.loss[batch_norm]
            style = "dot" if batch_norm == "keep" else "solid"
            curves.append(charts.Curve(f"{between}, {kind}", number, line.fractions, losses, places, style))
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
    planes = surfaces_of(group) | maps_of(group)
    files = {"around": "around", "through": "through", "trajectory": "way"}
    found = {name: charts.to_matplotlib(planes[kind]) for kind, name in files.items() if kind in planes}
    return found | {chart.name: charts.to_matplotlib(chart) for chart in charts_of(group)}


REPORT = AnalysisReport(
    name="landscape",
    title="The loss landscape",
    measures=_MEASURES,
    compared=tuple(name for name in _MEASURES if not name.endswith(("_error", "holes"))),
    answer=answer.answer,
    words=_WORDS,
    result_type=LandscapeResult,
    sections=sections,
    overview=overview,
    pictures=pictures,
    percent=("accuracy", "not_convex"),
)
