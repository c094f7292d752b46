"""What is likely wrong in some of many trainings, for terminals and pages."""

import re

# In a sentence of which others differ by their numbers alone.
_NUMBER = re.compile(r"\d[\d.]*(?:e[+-]?\d+)?")


def grouped(noted):
    """Each sentence once, whatever numbers are in it, with the first training that it was noted of.

    Args:
      noted: `[(name of the training, its sentences)]`.

    Returns:
      `((name, sentence), ...)`; the sentence says how many more there are.
    """
    found = {}
    for name, sentences in noted:
        for sentence in sentences:
            found.setdefault(_NUMBER.sub("", sentence), {}).setdefault(name, sentence)
    return tuple(_first(names) for names in found.values())


def _first(sentences):
    (name, sentence), *others = sentences.items()
    return name, sentence + (f"; likewise {len(others)} more" if others else "")
