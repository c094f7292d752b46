"""The model card that goes with exported files: what a deployer reads before the files are used.

Source: Mitchell et al. 2019, arXiv:1810.03993 (what belongs on a card).
"""

import jinja2

from keras_kd.reporting import formatting
from keras_kd.utils import files


def write(path, **values):
    """Writes a card as Markdown, atomically.

    Args:
      path: of the file.
      **values: what the template `card.md` asks for; one that lacks is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_kd.reporting"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it is Markdown, and nothing here comes from strangers
    )
    told = {"in_words": formatting.in_words, "number": formatting.number}
    files.write_text(environment.get_template("card.md").render(**told, **values), path)
