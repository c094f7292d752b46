"""What networks cost, as tables and as pictures of the memory that their feature maps hold."""

import numpy as np

from keras_kd.models.cost import BYTES
from keras_kd.reporting import figures, formatting, html

# As disks and papers count.
KILOBYTE, MEGABYTE = 1e3, 1e6


def rows(networks):
    """The cost card: `(columns, rows)`.

    Args:
      networks: `cost_results.NetworkCost`s.
    """
    told = [
        ("parameters", [f"{network.parameters:,}" for network in networks]),
        ("statistics", [f"{network.statistics:,}" for network in networks]),
        _multiply_adds(networks),
        ("without", [_without(network.not_counted) for network in networks]),
        *(
            (
                f"peak of feature maps, {dtype}, kB",
                [kilobytes(network.peak[dtype]) for network in networks],
            )
            for dtype in BYTES
        ),
        ("highest at", [network.peak_at for network in networks]),
        (
            "of that waiting for a later operation",
            [f"{network.retained_at_peak:.0%}" for network in networks],
        ),
        ("waiting, over all operations", [f"{network.retained:.0%}" for network in networks]),
        *(
            (
                f"LiteRT's arena, {dtype}, kB",
                [kilobytes(network.arena.get(dtype)) for network in networks],
            )
            for dtype in BYTES
        ),
        ("test accuracy, %", [formatting.percent(network.accuracy) for network in networks]),
        *_measured(networks),
    ]
    kept = [[name, *texts] for name, texts in told if set(texts) != {"n/a"}]
    return ["", *(network.label for network in networks)], kept


def _multiply_adds(networks):
    """Their row, with a sign where some are not known."""
    size, unit = formatting.unit_of([network.multiply_adds for network in networks])
    texts = [
        f"{'> ' if network.not_counted else ''}{formatting.number(network.multiply_adds / size)}"
        for network in networks
    ]
    return ", ".join(filter(None, ["multiply-adds", unit])), texts


# So many operations whose multiply-adds are not known are named in a table.
_NAMED = 3


def _without(names):
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more if names else "n/a"


def kilobytes(count):
    """Bytes as kilobytes, for a table."""
    return formatting.number(count and count / KILOBYTE)


def megabytes(count):
    """Bytes as megabytes, for a table."""
    return formatting.number(count and count / MEGABYTE)


def _measured(networks):
    """Rows of file sizes and latencies."""
    formats = _keys(network.files for network in networks)
    for name in formats:
        yield f"{name}: file, MB", [megabytes(network.files.get(name)) for network in networks]
    for runtime in _keys(network.latency for network in networks):
        timed = [network.latency.get(runtime, {}) for network in networks]
        for batch in _keys(timed):
            texts = [_milliseconds(each.get(batch)) for each in timed]
            yield f"{runtime}: batch {batch}, ms (90th percentile)", texts


def _keys(dicts):
    return list(dict.fromkeys(key for each in dicts for key in each))


def _milliseconds(found):
    if found is None:
        return "n/a"
    return f"{formatting.number(found.median)} ({formatting.number(found.percentile_90)})"


_TABLE_WORDS = (
    "One image. Parameters are what training finds, frozen or not; statistics, such as BatchNorm's, are "
    "stored beside them. Multiply-adds of convolutions, products of matrices, attention and recurrent "
    "layers; where a layer's number is not known, the sum is without it, and the layer is named. The peak is "
    "that of the graph: what an operation reads and writes, what waits for a later one, and the image. "
    "LiteRT's arenas were "
    "measured with its reference kernels, which compute in no memory of their own; uint8 is its full integer "
    "file."
)

_MEMORY_WORDS = (
    "Feature maps in memory while each operation runs, one image, float32. Shaded is what the operation "
    "neither reads nor writes and a later one needs: what shortcuts retain. Without them a feature map is "
    "free as soon as the next one is there. What a runtime needs to compute in, and the weights, are not "
    "counted."
)


def sections(groups):
    """The sections of a page: a picture of the memory for each group, and the card.

    Args:
      groups: lists of networks, as for `rows`, that are drawn together, such as twins.
    """
    networks = [network for group in groups for network in group]
    table = html.section("costs", "What it costs", _TABLE_WORDS, table=rows(networks))
    return [*(_drawn(group, place) for place, group in enumerate(groups, 1)), table]


def _drawn(networks, place):
    title = f"Memory over the layers: {', '.join(network.label for network in networks)}"
    return html.section(f"memory-{place}", title, _MEMORY_WORDS, memory(networks))


def memory(networks):
    """A `plotly.graph_objects.Figure`: float32 feature maps of networks over their operations.

    Layers of one name stand above each other. What waits for a later operation is shaded: between a dotted
    line, the bytes that the operation itself uses, and the line of all bytes.

    Args:
      networks: `cost_results.NetworkCost`s.
    """
    figure = html.figure("operation, in order", "feature maps in memory, kB")
    order = [name for name, _, _ in max(networks, key=lambda network: len(network.moments)).moments]
    for network, colour in zip(networks, figures.COLOURS, strict=False):
        names, used, retained = (list(column) for column in zip(*network.moments, strict=True))
        x = [order.index(name) if name in order else number for number, name in enumerate(names)]
        bytes_used = np.array(used) * BYTES["float32"] / KILOBYTE
        bytes_live = bytes_used + np.array(retained) * BYTES["float32"] / KILOBYTE
        line = {"color": colour, "shape": "hvh"}
        if any(retained):
            hidden = {"showlegend": False, "hoverinfo": "skip"}
            figure.add_scatter(
                x=x, y=bytes_used, line=line | {"width": 1, "dash": "dot"}, mode="lines", **hidden
            )
        figure.add_scatter(
            x=x,
            y=bytes_live,
            name=network.label,
            mode="lines",
            line=line,
            fill="tonexty" if any(retained) else None,
            customdata=names,
            hovertemplate="%{customdata}: %{y:,.1f} kB" + html.NAME,
        )
    figure.update_xaxes(**html.whole_ticks(len(order)))
    figure.update_yaxes(rangemode="tozero")
    return figure
