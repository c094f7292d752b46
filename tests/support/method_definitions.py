"""The published definitions of distillation methods, in NumPy float64: independent of the library's.

Each takes `(labels, teacher, student, temperature)`: int `[batch]`, float `[batch, classes]` twice, a number.
The other settings are the methods' usual ones.
"""

import numpy as np

from tests.support.reference import log_softmax, reference_kl

RESOLUTION = 1e-6  # relative; what differs by less is constant


def standardized(labels, teacher, student, temperature):
    def standardize(logits):
        logits = logits.astype(np.float64)
        deviation = logits - logits.mean(axis=1, keepdims=True)
        deviation[np.ptp(logits, axis=1) == 0] = 0
        return deviation / (np.sqrt((deviation**2).mean(axis=1, keepdims=True)) + 1e-7)

    return reference_kl(standardize(teacher), standardize(student), temperature)


def decoupled(labels, teacher, student, temperature):
    """alpha 1, beta 8."""
    found = []
    for y, *rows in zip(labels, teacher, student, strict=True):
        rows = [row.astype(np.float64) / temperature for row in rows]
        log_p = [log_softmax(row) for row in rows]
        log_b = [np.array([each[y], np.log(np.exp(np.delete(each, y)).sum())]) for each in log_p]
        log_q = [log_softmax(np.delete(row, y)) for row in rows]
        found.append(_kl(*log_b) + 8 * _kl(*log_q))
    return temperature**2 * np.array(found)


def _kl(log_p, log_q):
    return np.sum(np.exp(log_p) * (log_p - log_q))


def normalized(labels, teacher, student, temperature):
    """gamma 1.5; the temperature is lambda."""
    found = []
    for y, *rows in zip(labels, teacher, student, strict=True):
        rows = [row.astype(np.float64) for row in rows]
        t, s = (log_softmax(row)[y] for row in rows)
        log_q, log_q_student = (log_softmax(np.delete(row, y) / temperature) for row in rows)
        found.append(-np.exp(t) * s - 1.5 * temperature**2 * np.sum(np.exp(log_q) * log_q_student))
    return np.array(found)


def dist(labels, teacher, student, temperature):
    """beta 2, gamma 2."""
    p, q = (np.exp(log_softmax(logits.astype(np.float64) / temperature)) for logits in (teacher, student))
    rows = np.mean([1 - _correlation(*pair) for pair in zip(p, q, strict=True)])
    columns = np.mean([1 - _correlation(*pair) for pair in zip(p.T, q.T, strict=True)])
    return temperature**2 * (2 * rows + 2 * columns)


def _correlation(a, b):
    if any(np.ptp(each) < RESOLUTION * each.max() for each in (a, b)):
        return 0.0
    a, b = (each / each.max() for each in (a, b))
    a, b = a - a.mean(), b - b.mean()
    return np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))


def multi_level(labels, teacher, student, temperature):
    """At the temperature and twice the temperature."""
    found = 0.0
    for each in (temperature, 2 * temperature):
        p, q = (np.exp(log_softmax(logits.astype(np.float64) / each)) for logits in (teacher, student))
        found += reference_kl(teacher, student, each).mean()
        found += np.sum((p @ p.T - q @ q.T) ** 2) / len(p)
        found += np.sum((p.T @ p - q.T @ q) ** 2) / p.shape[1]
    return found


def finite_differences(function, at, step=1e-5):
    """The gradient of the sum of a function of an array, by central differences."""
    at, found = at.astype(np.float64), np.zeros(at.shape)
    for index in np.ndindex(*at.shape):
        up, down = at.copy(), at.copy()
        up[index] += step
        down[index] -= step
        found[index] = np.sum(function(up) - function(down)) / (2 * step)
    return found
