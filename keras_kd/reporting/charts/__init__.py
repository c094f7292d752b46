"""Charts that are described once, for the page to touch and for the file to print.

    chart = Chart("ranks", "Effective rank", words, [Panel("layer", "dimensions", curves)])
    page_section, figure = section(chart, "depth 20, seed 0", "reuse"), to_matplotlib(chart)

`description` says what is on a chart; `pages` draws it with Plotly, `pictures` with matplotlib.
"""

from keras_kd.reporting.charts.description import (
    LINES,
    Bars,
    Chart,
    ColourScale,
    ContourPanel,
    Curve,
    HeatmapPanel,
    Panel,
    side_by_side,
)
from keras_kd.reporting.charts.pages import section, to_plotly
from keras_kd.reporting.charts.pictures import to_matplotlib

__all__ = [
    "LINES",
    "Bars",
    "Chart",
    "ColourScale",
    "ContourPanel",
    "Curve",
    "HeatmapPanel",
    "Panel",
    "section",
    "side_by_side",
    "to_matplotlib",
    "to_plotly",
]
