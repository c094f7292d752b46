"""HTML pages of one file that need no network: words, pictures one can touch, tables.

pages.write("report.html", path, sections=[section("accuracy", "Accuracy", words, figure)], ...)
"""

import jinja2
import plotly.graph_objects as go
import plotly.offline

from keras_kd.utils import files

NAME = "<extra>%{fullData.name}</extra>"  # of what is hovered over

SYMBOLS = 12  # that are easy to tell apart

_CONFIG = {"responsive": True, "displaylogo": False}


def write(template, path, answer=None, **values):
    """Writes a page, atomically.

    Args:
      template: name of a file of `keras_kd/templates`.
      path: of the page.
      answer: what was found, with its uncertainty, in the first lines of the page: text, or a list of texts,
        one for each line; None: nothing is said.
      **values: what the template asks for; one that lacks is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_kd.reporting"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template(template).render(
        plotly_js=plotly.offline.get_plotlyjs(), answer=answer, **values
    )
    files.write_text(page, path)


def section(name, title, words, figure=None, table=None, script=None):
    """A part of a page.

    Args:
      name: its id there.
      title, words: its heading, and what stands below the picture.
      figure: a `plotly.graph_objects.Figure`, or None.
      table: `(columns, rows)` with what the picture shows, or None.
      script: JavaScript that runs when the picture is drawn; `{plot_id}` stands for its id.
    """
    if figure and figure.layout.height is None:
        figure.update_layout(height=400 + 16 * len({trace.name for trace in figure.data}))
    return {
        "id": name,
        "title": title,
        "words": words,
        "html": figure
        and figure.to_html(
            full_html=False,
            include_plotlyjs=False,
            div_id=f"plot-{name}",
            config=_CONFIG,
            post_script=script,
        ),
        "table": table and {"columns": table[0], "rows": table[1]},
    }


def figure(x_title, y_title):
    """An empty figure in the pages' style, with the titles of its axes."""
    empty = go.Figure()
    empty.update_layout(
        template="plotly_white",
        margin={"l": 60, "r": 20, "t": 20, "b": 60},
        legend={"orientation": "h", "yref": "container", "yanchor": "bottom", "y": 0, "x": 0},
        font={"size": 13},
        hovermode="closest",
    )
    empty.update_xaxes(title=x_title)
    empty.update_yaxes(title=y_title)
    return empty
