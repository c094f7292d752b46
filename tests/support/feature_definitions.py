"""The losses of features as their sources define them, in NumPy float64 and plain loops."""

import itertools

import numpy as np


def unit(x):
    norm = np.sqrt(np.sum(x * x))
    return x / norm if norm > 0 else 0 * x


def averaged(x, height, width):
    """Feature maps averaged over windows to a smaller height and width."""
    batch, h, w, channels = x.shape
    windows = x.reshape(batch, height, h // height, width, w // width, channels)
    return windows.mean(axis=(2, 4))


def in_one_size(teacher, student):
    if teacher.ndim != 4:
        return teacher, student
    height, width = (min(teacher.shape[axis], student.shape[axis]) for axis in (1, 2))
    return averaged(teacher, height, width), averaged(student, height, width)


def hint(teacher, student):
    pairs = zip(*in_one_size(teacher, student), strict=True)
    return np.array([np.mean((s - t) ** 2) for t, s in pairs])


def attention_transfer(teacher, student):
    def attention(maps):
        return unit(np.mean(maps**2, axis=-1).ravel())

    pairs = zip(*in_one_size(teacher, student), strict=True)
    return np.array([np.mean((attention(s) - attention(t)) ** 2) for t, s in pairs])


def gaussian_nll(teacher, mean, variance):
    pairs = zip(*in_one_size(teacher, mean), strict=True)
    return np.array([np.mean(((t - m) ** 2 / variance + np.log(variance)) / 2) for t, m in pairs])


def flat(x):
    return x.reshape(len(x), -1)


def similarity_preserving(teacher, student):
    def similarities(x):
        return np.array([unit(row) for row in flat(x) @ flat(x).T])

    return np.sum((similarities(teacher) - similarities(student)) ** 2) / len(teacher) ** 2


def huber(x):
    return np.where(np.abs(x) <= 1, x * x / 2, np.abs(x) - 0.5)


def relational_distance(teacher, student):
    def distances(x):
        n, x = len(x), flat(x)
        d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
        others = [d[i, j] for i in range(n) for j in range(n) if i != j]
        mean = np.mean(others) if others else 0.0
        return d / mean if mean > 0 else d

    return np.mean(huber(distances(student) - distances(teacher)))


def relational_angle(teacher, student):
    def cosines(x):
        x = flat(x)
        return np.array([unit(a - b) @ unit(c - b) for a, b, c in itertools.product(x, repeat=3)])

    return np.mean(huber(cosines(student) - cosines(teacher)))


def probability_transfer(teacher, student):
    def probabilities(x):
        x = np.array([unit(row) for row in flat(x)])
        alike = (x @ x.T + 1) / 2
        return alike / alike.sum(axis=1, keepdims=True)

    p, s = probabilities(teacher), probabilities(student)
    return np.mean(p * (np.log(np.maximum(p, 1e-7)) - np.log(np.maximum(s, 1e-7))))


def central_differences(function, at, step):
    """The gradient of a scalar function of one array, entry by entry."""
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        moved = [at.copy(), at.copy()]
        moved[0][index] += step
        moved[1][index] -= step
        gradient[index] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return gradient
