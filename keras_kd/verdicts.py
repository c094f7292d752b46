"""What a comparison of accuracies says: the definitions of drop, gain and recovery."""


def drop(residual, plain):
    """What the shortcuts are worth: accuracy of residual(d) minus accuracy of plain(d)."""
    return residual - plain


def gain(taught, alone):
    """What the teacher is worth: accuracy of the student taught minus that of the student alone."""
    return taught - alone


def recovery(residual, plain, taught):
    """The share of the drop that the teacher brings back.

    Args:
      residual: accuracy of residual(d).
      plain: accuracy of plain(d) trained alone.
      taught: accuracy of plain(d) with a teacher.

    Returns:
      gain / drop: 1 is all of it, more is better than the residual network. None where there
      is no drop to recover.
    """
    lost = drop(residual, plain)
    return gain(taught, plain) / lost if lost > 0 else None
