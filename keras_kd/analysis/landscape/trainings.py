"""How steep and how curved the loss was at the snapshots of a training."""

import numpy as np

from keras_kd.analysis.landscape import curvature, directions, surface
from keras_kd.analysis.landscape.results import TrainingCurvature
from keras_kd.utils.files import plain_values
from keras_kd.utils.identity import array_digest

MEASURES = ("loss", "accuracy", "largest eigenvalue")


def curvature_of_snapshots(label, training, data, config, evaluate, on_product):
    """The `TrainingCurvature` of one network.

    It is that of the network as it was in training, with its shortcuts as far open as they were; BatchNorm's
    statistics are measured again at each snapshot, as those of the first fit nothing yet.

    Args:
      label: of the network.
      training: a `trainings.Training`.
      data: images, labels, training images, as for `surface.LossSurface`.
      config: a `LandscapeConfig`.
      evaluate: see `numbers.NetworkCurvature`.
      on_product: is called before each product with a Hessian, which may end the work.
    """
    images, labels, training_images = data
    loss_surface = surface.LossSurface(
        training.network, images, labels, batch_norm="estimate", training_images=training_images
    )
    epochs = _chosen(list(training.snapshots), config.snapshots)
    points = [training.point(each) for each in epochs]

    def measure(places):
        return [_at(loss_surface, points[int(place)], config.seed, on_product) for (place,) in places]

    identity = loss_surface.identity(directions.Subspace(points[-1], ()))
    identity |= {"seed": config.seed, "snapshots": [array_digest(point) for point in points]}
    places = np.arange(len(points))[:, None]
    grid = evaluate(f"curvature on the way of {label}", measure, places, identity, MEASURES, chunk=1)
    return TrainingCurvature(label, epochs, *plain_values(list(grid.values.T)), loss_surface.examples)


def _chosen(epochs, count):
    """So many of the snapshots, evenly spread, the first and the last among them; all if there are fewer."""
    places = np.linspace(0, len(epochs) - 1, min(count, len(epochs))).round().astype(int)
    return [epochs[place] for place in places]


def _at(loss_surface, point, seed, on_product):
    point = loss_surface.with_statistics(point)
    loss = curvature.FlatLoss(loss_surface, point)

    def product(vector):
        on_product()
        return loss.product(vector)

    measured, accuracy, _ = loss_surface.at(point)
    if not loss.size:  # a frozen network has no Hessian
        return [measured, accuracy, np.nan]
    return [measured, accuracy, *curvature.largest_eigenvalues(product, loss.size, seed=seed)]
