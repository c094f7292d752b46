"""About how long each piece of feature reuse takes, for the time that is left, in passes over the images."""

from keras_kd.analysis.reuse import lesion_plan
from keras_kd.models import blocks

# Features on the way to the host, and what is computed of them there; a classifier on one layer.
_FEATURES, _CLASSIFIER = 3, 1


def costs(networks, trainings, config, layers):
    """`{title: cost}` of the pieces that `analyze` measures, in its order.

    Args:
      networks, trainings, config: as there.
      layers: `{label: names of the layers that are compared}`.
    """
    found = {"CKA": _FEATURES * len(networks)}
    for label, network in networks.items():
        found[f"spectra of {label}"] = _FEATURES
        if config.probe_examples:
            found[f"linear classifiers on {label}"] = _FEATURES + _CLASSIFIER * len(layers[label])
        names = [block.name for block in blocks.blocks_of(network)]
        if names:
            found[f"blocks of {label}"] = _FEATURES
            plan = lesion_plan.plan_lesions(names, [], draws=config.draws, most=config.most)
            found[f"lesions of {label}"] = len(plan.lesions) + config.draws * min(config.most, len(names))
    for label, training in trainings.items():
        found[f"the training of {label}"] = _FEATURES * len(training.snapshots)
    return found
