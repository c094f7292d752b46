"""The files that runs leave for other scripts."""

# A run of `distill`: the networks by their labels. One of `train` has MODEL alone.
NETWORKS = {
    "teacher": "teacher.keras",
    "baseline": "baseline.keras",
    "student_alone": "student_alone.keras",
    "student_distilled": "student.keras",
}
MODEL = "model.keras"

# Snapshots of each network on its way, in a folder of its label.
TRAJECTORY = "trajectory"
