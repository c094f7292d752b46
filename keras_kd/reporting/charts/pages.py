"""Charts on a page: Plotly figures that one can touch."""

from keras_kd.reporting import formatting, html
from keras_kd.reporting.charts import description
from keras_kd.reporting.charts.description import ContourPanel, HeatmapPanel, colour_of

# Turns all surfaces of a chart with the one that is turned.
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


def section(chart, about="", name=""):
    """The section of a page that shows a chart.

    Args:
      chart: a `Chart`; without panels it is words and a table.
      about: what it is of, in words.
      name: prefix of the section's id.
    """
    return html.section(
        "-".join(filter(None, (name, chart.name))),
        ": ".join(filter(None, (chart.title, about))),
        chart.words,
        to_plotly(chart) if chart.panels else None,
        chart.table,
        script=_TURN_TOGETHER if chart.is_surface else None,
    )


def to_plotly(chart):
    """The chart as a Plotly figure."""
    figure = _empty(chart)
    for number, (panel, row, column) in enumerate(chart.places()):
        place = {"row": row, "col": column}
        if isinstance(panel, HeatmapPanel):
            _add_heatmap(figure, panel, chart.colours, not number, place)
        elif isinstance(panel, ContourPanel):
            add = _add_surface if chart.is_surface else _add_contours
            add(figure, panel, chart.colours, not number, place)
        else:
            _add_panel(figure, panel, not number, place)
    return figure


def _empty(chart):
    """A figure with a place for each panel."""
    rows, columns = chart.grid
    kind = "surface" if chart.is_surface else "xy"
    is_heatmap = isinstance(chart.panels[0], HeatmapPanel)
    spacing = {"horizontal_spacing": 0.09, "vertical_spacing": 0.12} if is_heatmap else {}
    figure = html.figure(None, None).set_subplots(
        rows,
        columns,
        specs=[[{"type": kind}] * columns] * rows,
        subplot_titles=[panel.title for panel in chart.panels if hasattr(panel, "title")],
        **spacing,
    )
    if is_heatmap:
        figure.update_layout(height=60 + 300 * rows, margin={"l": 20, "r": 10, "t": 60, "b": 20})
    elif chart.colours:
        sides = {"l": 0, "r": 0, "b": 0} if chart.is_surface else {"l": 50, "r": 10, "b": 40}
        figure.update_layout(height=480, margin=sides | {"t": 60})
    return figure


# --------------------------------------------------------------------------- curves and bars


def _add_panel(figure, panel, is_first, place):
    for curve in panel.curves:
        if curve.has_band:
            _add_band(figure, curve, place)
        _add_curve(figure, panel, curve, is_first, place)
    for bars in panel.bars:
        figure.add_bar(
            x=panel.wrapped("<br>"),
            y=bars.heights,
            name=bars.label,
            marker_color=colour_of(bars.number),
            hovertemplate="%{x}: %{y:.3g}" + html.NAME,
            **place,
        )
    for level, text in panel.levels:
        add = figure.add_vline if panel.is_horizontal else figure.add_hline
        named = {"line_dash": "dot", "annotation_text": text} if text else {}
        add(level, line_width=1, **named, **place)
    _set_axes(figure, panel, place)


def _set_axes(figure, panel, place):
    kinds = {axis: "log" if axis in panel.logarithmic else None for axis in "xy"}
    own = {"title": panel.x_title, "type": kinds["x"], "tickvals": panel.x_ticks}
    if panel.counts and not panel.categories:
        own["dtick"] = 1
    value = {"title": panel.y_title, "type": kinds["y"]}
    if panel.is_horizontal:
        figure.update_yaxes(**own, autorange="reversed", automargin=True, **place)
        figure.update_xaxes(**value, **place)
        figure.update_layout(height=max(320, 120 + len(panel.categories) * (12 + 14 * panel.most_lines)))
    else:
        figure.update_xaxes(**own, **place)
        figure.update_yaxes(**value, **place)


def _add_curve(figure, panel, curve, is_first, place):
    colour, reaches = colour_of(curve.number), curve.reaches()
    names = ("y", "x") if panel.is_horizontal else ("x", "y")
    named = panel.wrapped("<br>")
    x = [named[i] for i in curve.x] if named else curve.x
    parts = {"lines": curve.line != "none", "markers": curve.marker is not None}
    style = {}
    if curve.marker:
        style["marker"] = {"symbol": curve.marker[0], "size": 8, "color": colour}
    if curve.line != "none":
        style["line"] = {"color": colour, "dash": curve.line}
    if reaches:
        low, high = reaches
        style[f"error_{names[1]}"] = {"symmetric": False, "array": high, "arrayminus": low}
    if curve.places:
        style |= {"customdata": _told(curve), "hovertemplate": "%{customdata}" + html.NAME}
    else:
        style["hoverinfo"] = "skip"
    figure.add_scatter(
        **{names[0]: x, names[1]: curve.y},
        name=curve.label or "",
        legendgroup=curve.label,
        showlegend=is_first and curve.label is not None,
        mode="+".join(part for part, is_there in parts.items() if is_there),
        **style,
        **place,
    )


def _told(curve):
    """What is said of each point: its place, its number, its interval."""
    told = [f"{place}: {formatting.number(y)}" for place, y in zip(curve.places, curve.y, strict=True)]
    if curve.low is None:
        return told
    return [
        text if None in ends else f"{text} ({formatting.number(ends[0])} to {formatting.number(ends[1])})"
        for text, ends in zip(told, zip(curve.low, curve.high, strict=True), strict=True)
    ]


def _add_band(figure, curve, place):
    figure.add_scatter(
        x=[*curve.x, *curve.x[::-1]],
        y=[*curve.high, *curve.low[::-1]],
        fill="toself",
        opacity=0.13,
        mode="lines",
        line={"color": colour_of(curve.number), "width": 0},
        legendgroup=curve.label,
        showlegend=False,
        hoverinfo="skip",
        **place,
    )


# --------------------------------------------------------------------------- colours


def _scale(colours, is_first):
    """What Plotly's traces are told of a `ColourScale`, which is drawn once."""
    return {
        "colorscale": colours.name.capitalize(),
        "showscale": is_first,
        "colorbar": {"title": colours.drawn_title},
    }


def _add_heatmap(figure, panel, colours, is_first, place):
    low, high = colours.ends
    figure.add_heatmap(
        z=colours.drawn(panel.values),
        x=panel.columns,
        y=panel.rows,
        zmin=low,
        zmax=high,
        hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        **_scale(colours, is_first),
        **place,
    )
    figure.update_xaxes(showticklabels=False, **place)
    figure.update_yaxes(showticklabels=False, autorange="reversed", **place)


def _add_contours(figure, panel, colours, is_first, place):
    low, high = colours.ends
    figure.add_contour(
        x=panel.x,
        y=panel.y,
        z=colours.drawn(panel.values),
        zmin=low,
        zmax=high,
        hovertemplate=f"%{{x:.2f}}, %{{y:.2f}}: {colours.drawn_title} %{{z:.2f}}<extra></extra>",
        **_scale(colours, is_first),
        **place,
    )
    if panel.path:
        x, y = zip(*panel.path, strict=True)
        style = {"line": {"color": "white"}, "marker": {"color": "white", "size": 5}, "showlegend": False}
        figure.add_scatter(x=x, y=y, mode="lines+markers", hoverinfo="skip", **style, **place)
    figure.add_scatter(
        x=[x for x, _ in panel.marks.values()],
        y=[y for _, y in panel.marks.values()],
        text=list(panel.marks),
        mode="markers+text",
        textposition="top center",
        textfont={"color": "white"},
        marker={"symbol": "x", "color": "white", "size": 9},
        showlegend=False,
        hovertemplate="%{text}<extra></extra>",
        **place,
    )


def _add_surface(figure, panel, colours, is_first, place):
    low, high = colours.ends
    figure.add_surface(
        x=panel.x,
        y=panel.y,
        z=colours.drawn(panel.values),
        customdata=description.as_numbers(panel.values),
        hovertemplate=f"{colours.title} %{{customdata:.3g}}<extra></extra>",
        cmin=low,
        cmax=high,
        **_scale(colours, is_first),
        **place,
    )
    figure.update_scenes(
        xaxis_title=panel.x_title,
        yaxis_title=panel.y_title,
        zaxis_title=colours.drawn_title,
        zaxis_range=[low, high],
        aspectmode="cube",
        camera_eye={"x": 1.85, "y": 1.85, "z": 1.1},
        **place,
    )
