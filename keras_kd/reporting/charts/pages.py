"""Charts on a page: Plotly figures that one can touch."""

import plotly.colors

from keras_kd.reporting import formatting, html
from keras_kd.reporting.charts import description
from keras_kd.reporting.charts.description import ContourPanel, HeatmapPanel, colour_of


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
        to_plotly(chart),
        chart.table,
        titles=[getattr(panel, "title", None) for panel in chart.panels],
        columns=chart.columns,
        scale=_told_scale(chart.colours),
    )


def to_plotly(chart):
    """The chart as Plotly figures, one for each panel, which a page lays out side by side as they fit."""
    return [_drawn(panel, chart) for panel in chart.panels]


def _drawn(panel, chart):
    figure = html.figure(None, None)
    if isinstance(panel, HeatmapPanel):
        _add_heatmap(figure, panel, chart.colours)
    elif isinstance(panel, ContourPanel):
        add = _add_surface if chart.is_surface else _add_contours
        add(figure, panel, chart.colours)
    else:
        _add_panel(figure, panel)
    return figure


# --------------------------------------------------------------------------- curves and bars


def _add_panel(figure, panel):
    for curve in panel.drawn_curves:
        if curve.has_band:
            _add_band(figure, curve)
        _add_curve(figure, panel, curve)
    for bars in panel.bars:
        figure.add_bar(
            x=panel.wrapped("<br>"),
            y=bars.heights,
            name=bars.label,
            marker_color=colour_of(bars.number),
            hovertemplate="%{x}: %{y:.3g}" + html.NAME,
        )
    for level, text in panel.levels:
        add = figure.add_vline if panel.is_horizontal else figure.add_hline
        named = {"line_dash": "dot", "annotation_text": text} if text else {}
        add(level, line_width=1, **named)
    _set_axes(figure, panel)


def _set_axes(figure, panel):
    kinds = {axis: "log" if axis in panel.logarithmic else None for axis in "xy"}
    own = {"title": html.in_lines(panel.x_title), "type": kinds["x"]}
    if kinds["x"]:
        own |= html.log_ticks(x for curve in panel.curves for x in curve.x)
    elif panel.x_ticks is not None:
        own["tickvals"] = panel.x_ticks
    elif panel.is_whole and not panel.categories:
        own |= html.whole_ticks(panel.most)
    value = {"title": html.in_lines(panel.y_title), "type": kinds["y"]}
    if kinds["y"]:
        value |= html.log_ticks(y for curve in panel.curves for y in curve.y)
    if panel.bounds:
        low, high = panel.bounds
        value |= {
            "autorangeoptions": {"clipmin": low, "clipmax": high},
            "minallowed": low,
            "maxallowed": high,
        }
    if panel.is_horizontal:
        figure.update_yaxes(**own)
        figure.update_xaxes(**value)
        _name_rows(figure, panel.wrapped("<br>"))
    else:
        figure.update_xaxes(**own)
        figure.update_yaxes(**value)


def _name_rows(figure, names):
    """Names stand above what they name: beside it they would take the width of a narrow screen."""
    height = 34 + 15 * max(name.count("<br>") for name in names)  # of a row, in pixels
    for row, name in enumerate(names):
        place = {"x": 0, "xref": "paper", "xanchor": "left", "y": row, "yanchor": "bottom", "yshift": 7}
        figure.add_annotation(text=name, showarrow=False, align="left", font_size=12, **place)
    figure.update_yaxes(range=[len(names) - 0.5, -0.9], showticklabels=False, showgrid=False, zeroline=False)
    figure.update_layout(height=max(160, 90 + height * (len(names) + 1)), margin={"l": 10})


def _add_curve(figure, panel, curve):
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
        showlegend=curve.label is not None,
        mode="+".join(part for part, is_there in parts.items() if is_there),
        **style,
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


def _add_band(figure, curve):
    figure.add_scatter(
        x=[*curve.x, *curve.x[::-1]],
        y=[*curve.high, *curve.low[::-1]],
        fill="toself",
        opacity=0.18,
        mode="lines",
        line={"color": colour_of(curve.number), "width": 0},
        legendgroup=curve.label,
        showlegend=False,
        hoverinfo="skip",
    )


# --------------------------------------------------------------------------- colours


def _told_scale(colours):
    """What a page is told of a `ColourScale`, which it draws once for all panels; None of None."""
    if colours is None:
        return None
    low, high = colours.ends
    if colours.is_logarithmic:
        low, high = 10**low, 10**high
    return {
        "title": f"{colours.title} (logarithmic)" if colours.is_logarithmic else colours.title,
        "low": formatting.number(low),
        "high": formatting.number(high),
        "colours": [colour for _, colour in plotly.colors.get_colorscale(colours.name)],
    }


def _add_heatmap(figure, panel, colours):
    low, high = colours.ends
    figure.add_heatmap(
        z=colours.drawn(panel.values),
        x=panel.columns,
        y=panel.rows,
        zmin=low,
        zmax=high,
        colorscale=colours.name.capitalize(),
        showscale=False,
        hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
    )
    axis = {"tickfont": {"size": 10}, "type": "category"}
    figure.update_xaxes(**axis, tickangle=-90)
    figure.update_yaxes(**axis, autorange="reversed")
    figure.update_layout(height=360, margin={"l": 10, "r": 10, "t": 10, "b": 10})


def _add_contours(figure, panel, colours):
    low, high = colours.ends
    figure.add_contour(
        x=panel.x,
        y=panel.y,
        z=colours.drawn(panel.values),
        zmin=low,
        zmax=high,
        colorscale=colours.name.capitalize(),
        showscale=False,
        hovertemplate=f"%{{x:.2f}}, %{{y:.2f}}: {colours.drawn_title} %{{z:.2f}}<extra></extra>",
    )
    if panel.path:
        x, y = zip(*panel.path, strict=True)
        for colour, width, size in (("black", 4, 8), ("white", 2, 5)):  # seen on dark and on light ground
            style = {"line": {"color": colour, "width": width}, "marker": {"color": colour, "size": size}}
            figure.add_scatter(x=x, y=y, mode="lines+markers", hoverinfo="skip", showlegend=False, **style)
    figure.add_scatter(
        x=[x for x, _ in panel.marks.values()],
        y=[y for _, y in panel.marks.values()],
        text=list(panel.marks),
        mode="markers+text",
        textposition=[_beside(x, panel.x) for x, _ in panel.marks.values()],
        textfont={"color": "white", "shadow": "0 0 3px black, 0 0 2px black, 0 0 1px black"},
        marker={"symbol": "x", "color": "white", "size": 10, "line": {"color": "black", "width": 1.5}},
        showlegend=False,
        hovertemplate="%{text}<extra></extra>",
    )
    figure.update_xaxes(title=panel.x_title)
    figure.update_yaxes(title=panel.y_title)
    figure.update_layout(height=380, margin={"l": 40, "r": 10, "t": 10, "b": 40})


def _beside(x, ticks):
    """Where the name of a mark stands, so that it stays on the map."""
    share = (x - ticks[0]) / (ticks[-1] - ticks[0])
    return "top right" if share < 1 / 3 else "top left" if share > 2 / 3 else "top center"


def _add_surface(figure, panel, colours):
    low, high = colours.ends
    figure.add_surface(
        x=panel.x,
        y=panel.y,
        z=colours.drawn(panel.values),
        customdata=description.as_numbers(panel.values),
        hovertemplate=f"{colours.title} %{{customdata:.3g}}<extra></extra>",
        cmin=low,
        cmax=high,
        colorscale=colours.name.capitalize(),
        showscale=False,
    )
    figure.update_scenes(
        xaxis_title=panel.x_title,
        yaxis_title=panel.y_title,
        zaxis_title=colours.drawn_title,
        zaxis_range=[low, high],
        aspectmode="cube",
        camera={"eye": {"x": 1.7, "y": 1.7, "z": 1.0}, "center": {"x": 0, "y": 0, "z": -0.12}},
    )
    figure.update_layout(height=340, margin={"l": 0, "r": 0, "t": 0, "b": 0})
