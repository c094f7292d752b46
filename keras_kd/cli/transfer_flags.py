"""Flags that say how a trained network learns other classes."""

from keras_kd.cli import flags, network_flags
from keras_kd.utils import limits

# What is not given is None, so that folders of earlier runs, which had no such flags, go on.
FROZEN_EPOCHS, UNFREEZE_RATE = 5, 0.1


def define(values):
    """A trained network, and how it learns other classes."""
    transfer = flags.Group(values, "transfer")
    words = (
        "A trained network that gets a new classifier: a .keras file, or applications:NAME:weights=imagenet."
    )
    transfer.text("init", None, words)
    words = "What does not learn at first: with 'backbone' the new classifier is trained alone."
    transfer.choice("freeze", None, ("none", "backbone"), words)
    words = f"Of --epochs, with the backbone frozen. [{FROZEN_EPOCHS}]"
    transfer.integer("freeze_epochs", None, words, limits.whole(1, limits.EPOCHS.high))
    words = f"Share of --learning_rate for all layers after that. [{UNFREEZE_RATE}]"
    transfer.number("unfreeze_rate", None, words, limits.TRAINING_SHARE)


def check(values):
    """Raises a ValueError for flags that belong to others which are not given, or contradict them."""
    needs = {"freeze": "init", "freeze_epochs": "freeze", "unfreeze_rate": "freeze"}
    for name, needed in needs.items():
        if values[name].value is not None and values[needed].value in (None, "none"):
            raise ValueError(f"--{name} belongs to --{needed}: give that too, or leave --{name} out")
    also = [name for name in ("student", *network_flags.SHORT_FORMS["student"]) if values[name].present]
    if values.init and also:
        raise ValueError(f"--init and --{also[0]} both say which network is trained: leave --{also[0]} out")
    if values.init and values.shortcut_removal not in (None, "none"):
        raise ValueError(
            f"--init gives a trained network a new classifier, and --shortcut_removal trains one without "
            f"shortcuts from the start: leave one of both out. "
            f"Received: --shortcut_removal={values.shortcut_removal}"
        )
    frozen = values.freeze_epochs or FROZEN_EPOCHS
    if values.freeze == "backbone" and frozen > values.epochs:
        raise ValueError(
            f"--freeze_epochs must be at most the {values.epochs} epochs of --epochs. Received: {frozen}"
        )
