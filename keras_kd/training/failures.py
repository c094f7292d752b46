"""Why a training failed, in words for people; what the libraries said stays in the files."""

import re

# What an error says, and what that means; the first that fits.
_WORDS = (
    (r"^its (teacher|process) ", None),  # words of our own
    (r"TrainingDivergedError", "the loss became no number: a lower learning rate may help"),
    (r"No space left|disk is full|Errno 28\b", "the disk is full"),
    (
        r"MemoryError|ResourceExhausted|OOM when|out of memory|RESOURCE_EXHAUSTED",
        "memory did not suffice: smaller batches or networks need less",
    ),
    (r"IdentityMismatchError", "its folder holds another run"),
    (r"BadImageError", "an image cannot be read"),
    (r"FileNotFoundError|there is no file", "a file is not there"),
)

_ANYTHING = "the training ended with an error"


def in_words(error):
    """One line in our words.

    Args:
      error: what was written down, "ErrorName: message".

    Returns:
      Text without the names of errors, and without a full stop.
    """
    for pattern, words in _WORDS:
        if re.search(pattern, error):
            return words or error
    return _ANYTHING
