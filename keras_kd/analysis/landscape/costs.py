"""About how long each piece of a landscape takes, for the time that is left.

In losses at one point with kept statistics, measured on ResNets of depth 32 on two CPU cores.
"""

from keras_kd.analysis.landscape import twins
from keras_kd.models import weights

# A point whose statistics are measured again; a product with the Hessian; a gradient.
_ESTIMATE, _PRODUCT, _GRADIENT = 2, 14, 9

# Products that the Lanczos method takes for the largest eigenvalues, for both ends, and on the way.
_LARGEST, _EXTREMES, _ON_THE_WAY = 15, 45, 40


def costs(networks, trainings, config):
    """`{title: cost}` of the pieces that `analyze` measures, in its order; arguments as there."""
    points = {label: weights.weights_of(network) for label, network in networks.items()}
    plane, found = config.steps**2, {}
    for label, network in networks.items():
        found[f"around {label}"] = plane * (_ESTIMATE if config.batch_norm == "estimate" else 1)
        if network.trainable_weights:
            found |= _of_curvature(label, config)
    for labels in twins.twins_of(points):
        if len(labels) > 2:
            title = twins.plane_title(labels[-3:])
            kinds = twins.kinds_of(networks, labels[-3:])
            found |= {f"{title}, as {reader}": plane * _ESTIMATE for reader in kinds}
    found |= {f"the trajectory of {label}": plane * _ESTIMATE for label in trainings}
    for one, other in twins.lines_of(networks, points):
        for batch_norm, cost in (("keep", 1), ("estimate", _ESTIMATE)):
            found[f"between {one} and {other}, BatchNorm {batch_norm}"] = config.steps * cost
    for label, training in trainings.items():
        snapshots = min(config.snapshots, len(training.snapshots))
        found[f"curvature on the way of {label}"] = snapshots * _ON_THE_WAY * _PRODUCT
    return found


def _of_curvature(label, config):
    return {
        f"spectrum at {label}": _LARGEST * _PRODUCT,
        f"trace at {label}": config.trace_samples * _PRODUCT,
        f"step at {label}": (1 + len(config.step_sizes)) * _GRADIENT,
        f"Hessian around {label}": config.hessian_steps**2 * _EXTREMES * _PRODUCT,
        f"curvature along directions at {label}": config.trace_samples * _PRODUCT,
    }
