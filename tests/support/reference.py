"""Independent definitions in NumPy float64."""

import numpy as np


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def reference_kl(teacher, student, temperature):
    t = log_softmax(teacher.astype(np.float64) / temperature)
    s = log_softmax(student.astype(np.float64) / temperature)
    return temperature**2 * np.sum(np.exp(t) * (t - s), axis=-1)
