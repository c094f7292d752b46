"""A page is one file: the answer first, and a Plotly that unpacks to the version of the Python package."""

import base64
import gzip
import json
import re

import plotly.offline
import pytest

from keras_kd.reporting import html


def page(folder, answer=None, sections=()):
    html.write(
        "view.html",
        folder / "page.html",
        answer=answer,
        title="A title",
        lead="A lead.",
        sections=sections,
        command="typed",
        facts={},
    )
    return (folder / "page.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("a <b>", '<p class="answer">a &lt;b&gt;</p>'),
        (["alone"], '<p class="answer">alone</p>'),
        (["one", "two"], '<ul class="answer"><li>one</li><li>two</li></ul>'),
    ],
)
def test_the_answer_stands_above_the_lead(tmp_path, answer, shown):
    text = page(tmp_path, answer)
    assert text.index(shown) < text.index("A lead.")
    assert 'class="answer"' not in page(tmp_path)


def test_plotly_is_that_of_the_python_package(tmp_path):
    packed = re.search(r'<script type="text/plain" id="plotly-js">(.*?)</script>', page(tmp_path), re.S)[1]
    script = gzip.decompress(base64.b64decode(packed)).decode("utf-8")
    version = re.match(r"/\* plotly\.js v(\d+)\.", script)[1]
    assert version == plotly.offline.get_plotlyjs_version().split(".")[0]


def test_what_a_picture_holds_cannot_end_its_script(tmp_path):
    figure = html.figure("x", "y")
    figure.add_scatter(x=[1], y=[2], name="</script><b>")
    text = page(tmp_path, sections=[html.section("one", "One", "Words.", figure)])
    held = re.search(r'id="plot-one-figure">(.*?)</script>', text, re.S)[1]
    assert json.loads(held)["data"][0]["name"] == "</script><b>"
