"""HTML pages of one file that need no network: words, pictures one can touch, tables.

html.write("view.html", path, answer="It is so.", sections=[section("id", "Title", words, figure)], ...)
"""

import base64
import functools
import importlib.resources
import math
import textwrap

import jinja2
import markupsafe
import plotly.graph_objects as go
import plotly.io

from keras_kd.reporting.figures import COLOURS
from keras_kd.utils import files

NAME = "<extra>%{fullData.name}</extra>"  # of what is hovered over

# How a legend shows the markers that Plotly calls so.
GLYPHS = {
    "circle": "●",
    "square": "■",
    "diamond": "◆",
    "triangle-up": "▲",
    "triangle-down": "▼",
    "cross": "✚",
    "x": "✖",
    "star": "★",
    "pentagon": "⬟",
    "hexagon": "⬢",
    "triangle-left": "◀",
}

# Its lines, in units of its drawing.
_DASHES = {
    "dash": "7 4",
    "dot": "2 3",
    "dashdot": "7 3 2 3",
    "longdash": "13 4",
    "longdashdot": "12 3 2 3",
}


def write(template, path, answer=None, **values):
    """Writes a page, atomically.

    Args:
      template: name of a file of `keras_kd/reporting/templates`.
      path: of the page.
      answer: what was found, with its uncertainty, in the first lines of the page: text, or a list of texts,
        one for each line; None: nothing is said.
      **values: what the template asks for; one that lacks is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_kd.reporting"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template(template).render(
        answer=answer, plotly_js=_library(), plotly_templates=_templates(), **values
    )
    files.write_text(page, path)


@functools.cache
def _library():
    """Plotly's script as base64 of gzip, which browsers unpack."""
    packed = importlib.resources.files("keras_kd.reporting") / "plotly_js" / "plotly.min.js.gz"
    return base64.b64encode(packed.read_bytes()).decode("ascii")


_CLEAR = "rgba(0,0,0,0)"


@functools.cache
def _templates():
    """JSON: how pictures look on a light and on a dark page."""
    found = {}
    for scheme, name in (("light", "plotly_white"), ("dark", "plotly_dark")):
        layout = plotly.io.templates[name].layout.to_plotly_json()
        modebar = {"bgcolor": _CLEAR, "color": "#8a949e", "activecolor": COLOURS[0]}
        colours = {"colorway": COLOURS, "paper_bgcolor": _CLEAR, "plot_bgcolor": _CLEAR, "modebar": modebar}
        found[scheme] = {"layout": layout | colours}
    return _as_json(found)


def _as_json(values):
    """JSON that may stand within a page's script element."""
    return markupsafe.Markup(plotly.io.to_json(values, validate=False).replace("<", "\\u003c"))


def section(name, title, words, figure=None, table=None, titles=(), columns=1, scale=None):
    """A part of a page.

    Args:
      name: its id there.
      title, words: its heading, and what stands below the picture.
      figure: a `plotly.graph_objects.Figure`, a list of them with one legend, or None.
      table: `(columns, rows)` with what the picture shows, or None.
      titles: what stands above each figure.
      columns: most figures side by side; as few as fit.
      scale: what the colours of all figures mean: a dict of `title`, `low`, `high` and `colours`, from low
        to high; or None.
    """
    drawn = [figure] if isinstance(figure, go.Figure) else figure or []
    titles = titles or [None] * len(drawn)
    return {
        "id": name,
        "title": title,
        "words": words,
        "plots": [
            {"id": f"plot-{name}" + f"-{place}" * (place > 1), "title": above, **_described(each)}
            for place, (each, above) in enumerate(zip(drawn, titles, strict=True), 1)
        ],
        "legend": _legend(drawn),
        "columns": len(drawn) if len(drawn) <= 4 else columns,
        "scale": scale,
        "table": table and {"columns": table[0], "rows": table[1]},
    }


def notes_sections(found):
    """The part of a page that shows what is likely wrong, in a list that is empty where nothing is.

    Args:
      found: as `notes.grouped` returns it.
    """
    words = "Noted while they trained: read what they found with care, or mend it and train again."
    table = (("training", "what was noted"), found)
    return [section("notes", "What is likely wrong", words, table=table)] if found else []


def _described(figure):
    """What a page is told of a figure: its JSON, without a legend and a look, which are the page's."""
    described = figure.to_plotly_json()
    height = described["layout"].setdefault("height", 400)
    described["layout"] |= {"template": {}, "showlegend": False}
    return {"json": _as_json(described), "height": height}


def _legend(drawn):
    """The names of curves and bars, with how each is drawn; none of a single one that did not ask for it."""
    entries = {}
    asked = False
    for place, trace in ((place, trace) for each in drawn for place, trace in enumerate(each.data)):
        if trace.name and trace.showlegend is not False:
            entries.setdefault(trace.name, _entry(trace, COLOURS[place % len(COLOURS)]))
            asked = asked or trace.showlegend
    return list(entries.values()) if asked or len(entries) > 1 else []


def _entry(trace, colour):
    """A line of the legend; `colour` where the trace has none."""
    if trace.type == "bar":
        return {"label": trace.name, "colour": trace.marker.color or colour, "glyph": "■", "line": None}
    mode = trace.mode or "lines"
    own = [trace.line.color, trace.marker.color]
    return {
        "label": trace.name,
        "colour": next((each for each in own if isinstance(each, str)), None if any(own) else colour),
        "glyph": GLYPHS.get(trace.marker.symbol or "circle", "●") if "markers" in mode else "",
        "line": _DASHES.get(trace.line.dash, "none") if "lines" in mode else None,
    }


def figure(x_title, y_title):
    """An empty figure in the pages' style, with the titles of its axes."""
    empty = go.Figure()
    empty.update_layout(
        margin={"l": 60, "r": 20, "t": 20, "b": 60}, font={"size": 13}, hovermode="closest", uirevision=True
    )
    apart = {"ticks": "outside", "ticklen": 6, "tickcolor": _CLEAR}  # the numbers of both axes at a corner
    empty.update_xaxes(title=in_lines(x_title), automargin=True, autotickangles=[0, -90], **apart)
    empty.update_yaxes(title=in_lines(y_title), automargin=True, **apart)
    return empty


def in_lines(title):
    """The title of an axis in lines that fit along a picture on a narrow screen."""
    return title and "<br>".join(textwrap.wrap(title, _LETTERS))


_LETTERS = 38


def whole_ticks(most):
    """What `update_xaxes` takes for an axis of whole numbers, such as epochs or trials, up to `most`."""
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, most) if most / step <= _TICKS)
    return {"dtick": step, "tick0": 0, "tickformat": "d"}


def log_ticks(values):
    """What an axis of powers of ten takes for such values: ticks that do not run into each other."""
    values = [value for value in values if value]
    decades = math.log10(max(values) / min(values)) if values else 0
    return {"dtick": max(1, round(decades / 6)) if decades > 1.5 else "D2", "exponentformat": "power"}


_TICKS = 12  # that fit below a picture on a narrow screen
