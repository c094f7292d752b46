"""What commands print, held against a text file each: `tests/support/files/golden/COMMAND.txt`.

    GOLDEN=renew python -m pytest tests/cli -k what_the_terminal_shows

writes the files anew; look at the difference before it is committed.
"""

import os
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent / "files" / "golden"

# In this order; the rest of a line must be equal.
MASKS = (
    (r"(?<![\w.])/(?:[\w.+-]+/)+", ""),  # folders above the one that a test works in
    (r"not supported|supported|undecided", "VERDICT"),  # of trainings of a few steps
    (r"points (?:below|above)", "points below"),  # likewise
    (r"[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", "N"),  # numbers, with sign, exponent and the comma behind
    (r"[━─]+", "─"),  # lines of tables, as wide as their numbers
    (r" +", " "),
    (r" $", ""),
)


def masked(text):
    """The text without what differs between machines: numbers, folders, verdicts, widths of columns."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text, flags=re.M)
    return text


def check(command, output):
    """Asserts that a command printed what its file says, but for what is masked."""
    path = FOLDER / f"{command}.txt"
    if os.environ.get("GOLDEN") == "renew":
        path.parent.mkdir(exist_ok=True)
        path.write_text(masked(output), encoding="utf-8")
    assert masked(output) == path.read_text(encoding="utf-8"), f"GOLDEN=renew writes {path} anew"
