"""What a run of `compare` calls its networks, and their files."""

TEACHER, BASELINE, ALONE, DISTILLED = "teacher", "baseline", "student_alone", "student_distilled"


def network_file(label):
    """Name of the file in which a run keeps a network."""
    return "student.keras" if label == DISTILLED else f"{label}.keras"


def removal_label(removal):
    """What a run calls the student that loses its shortcuts by a `ShortcutRemoval`."""
    return f"student_{removal.name.replace('+', '_')}"
