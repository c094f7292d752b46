"""Independent definitions in NumPy float64, or in decimals of 60 digits."""

import decimal

import numpy as np


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def reference_kl(teacher, student, temperature):
    t = log_softmax(teacher.astype(np.float64) / temperature)
    s = log_softmax(student.astype(np.float64) / temperature)
    return temperature**2 * np.sum(np.exp(t) * (t - s), axis=-1)


def exact_kl(teacher, student, temperature):
    """KL times temperature^2 in 60 digits: float64 `[batch]`; -inf is a class that is not there."""
    with decimal.localcontext(prec=60):
        return np.array([_exact_row(*rows, temperature) for rows in zip(teacher, student, strict=True)])


def _exact_row(teacher, student, temperature):
    rows = [
        [decimal.Decimal(float(x)) / decimal.Decimal(float(temperature)) for x in row]
        for row in (teacher, student)
    ]
    t_sum, s_sum = (sum(x.exp() for x in row).ln() for row in rows)
    pairs = [(t - t_sum, s - s_sum) for t, s in zip(*rows, strict=True) if t.is_finite()]
    return float(sum(t.exp() * (t - s) for t, s in pairs) * decimal.Decimal(float(temperature)) ** 2)
