"""Pages, charts and pictures: what people look at, whatever was measured.

A chart is described once (`charts`) and drawn for a page or as a picture.
"""
