"""What commands print, held against a text file each: `tests/support/files/golden/COMMAND.txt`.

    GOLDEN=renew python -m pytest tests/cli -k what_the_terminal_shows

writes the files anew; look at the difference before it is committed. What trainings of a few steps find
differs between machines, and so does the sentence that says it: such sentences are masked by how they begin,
and tested by themselves in `test_answers`, `test_answer` and `test_sentences`.
"""

import os
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent / "files" / "golden"

# In this order; the rest of a line must be equal.
MASKS = (
    (r"(?<![\w.])/(?:[\w.+-]+/)+", ""),  # folders above the one that a test works in
    (r"^note: .*\n", ""),  # what is likely wrong with a training of a few steps
    (r"^KD .*$", "KD: WHAT IT DID"),
    (r"^(?:No drop shows|Whether accuracy drops|Without shortcuts) .*$", "WHAT SHORTCUTS ARE WORTH"),
    (r"^(?:Undecided|The surface around|A silenced block|\d\S* % of the plane) .*$", "WHAT WAS SEEN INSIDE"),
    (r"^(C\d), (?:not supported|supported|undecided)(?: \(p [^)]*\))?: .*$", r"\1: VERDICT AND EFFECT"),
    (r"not supported|supported|undecided", "VERDICT"),
    (r"(?:within|more than) luck", "LUCK"),
    (r"; (?:same|another) class in .*$", "; AGREEMENT"),
    (r"^\(!\) .*\n| \(!\)", ""),  # files that differ much
    (r": too few images to say more\.", "."),
    (r"^next: keras-kd (?:distill --seeds|export --model=runs/first/student).*$", "next: COMMAND"),
    (r"not defined|n/a|[+-]?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?", "N"),  # the comma behind, too
    (r"N ?%", "N"),  # of 0 there is none
    (r"[━─]+", "─"),  # lines of tables, as wide as their numbers
    (r" +", " "),
    (r" $", ""),
)

_WRAPPED = re.compile(r"^│ ([^│]+) │(?: │)+$")


def masked(text):
    """The text without what differs between machines: numbers, findings, folders, widths of columns."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text, flags=re.M)
    return "\n".join(_rows(text.split("\n")))


def _rows(lines):
    """The lines with rows of tables whole: where a name is broken depends on how wide the numbers are."""
    whole = []
    for line in lines:
        wrapped = _WRAPPED.match(line)
        if wrapped and whole and whole[-1].startswith("│"):
            first, rest = whole[-1][2:].split(" │", 1)
            whole[-1] = f"│ {first} {wrapped[1]} │{rest}"
        else:
            whole.append(line)
    return whole


def check(command, output):
    """Asserts that a command printed what its file says, but for what is masked."""
    path = FOLDER / f"{command}.txt"
    if os.environ.get("GOLDEN") == "renew":
        path.parent.mkdir(exist_ok=True)
        path.write_text(masked(output), encoding="utf-8")
    assert masked(output) == path.read_text(encoding="utf-8"), f"GOLDEN=renew writes {path} anew"
