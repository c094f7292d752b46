"""Small networks, and their weights compared."""

import functools

import keras
import numpy as np

import keras_kd
from keras_kd.distillation import shortcut_removal


def mlp(units=8, classes=4, seed=0, name=None, **dense):
    """A small classifier without BatchNorm or dropout."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(units, "relu", **dense),
            keras.layers.Dense(classes),
        ],
        name=name,
    )


def brightness_classifier(images, labels):
    """A classifier of normalised images whose classes differ in brightness: the nearest mean wins."""
    images = (images / images.std(axis=(0, 1, 2))).astype("float32")
    images -= images.mean(axis=(0, 1, 2))
    means = np.stack([images[labels == each].mean(axis=(0, 1, 2)) for each in range(labels.max() + 1)])
    inputs = keras.Input(images.shape[1:])
    dense = keras.layers.Dense(len(means))
    model = keras.Model(inputs, dense(keras.layers.GlobalAveragePooling2D()(inputs)))
    dense.set_weights([2 * means.T, -np.sum(means**2, axis=1)])
    return model


def trio(depth=8):
    """A residual network and two plain ones, untrained, with weights of equal names and shapes."""
    found = {}
    for seed, label in enumerate(("residual", "plain", "plain + KD")):
        keras.utils.set_random_seed(seed)
        found[label] = keras_kd.cifar_resnet(depth, (8, 8, 1), 4, width=4, shortcuts=not seed)
    return found


def shaken(model, seed=1):
    """The model with random weights, statistics of BatchNorm included."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        fan_in = np.prod(weight.shape[:-1]) if len(weight.shape) > 1 else 16
        draw = rng.normal(size=weight.shape) / np.sqrt(fan_in)
        positive = weight.path.endswith(("gamma", "variance"))
        weight.assign(np.abs(1 + draw) if positive else draw)
    return model


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]


def same(weights, others):
    """Whether two lists of weights are equal bit for bit."""
    return len(weights) == len(others) and all(map(np.array_equal, weights, others))


def sparse_ce(**kwargs):
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, **kwargs)


def resnet8(seed=0, **options):
    """The smallest residual network, for 8x8 colour images of 4 classes."""
    keras.utils.set_random_seed(seed)
    return keras_kd.cifar_resnet(8, (8, 8, 3), 4, width=4, **options)


def left_of(way):
    """What a way to remove shortcuts leaves of a network with random weights, as `resnet8` without."""
    plain, removal = resnet8(shortcuts=False), shortcut_removal.parse_spec(way)
    removal.finish(shaken(removal.start(plain, steps=0)), plain)
    return plain


def one_block(seed=0, shortcuts=True, dropout=0.0, channels=3, before=lambda images: images):
    """As `resnet8`, with one block in place of three: the quickest to train with all kinds of weights."""
    keras.utils.set_random_seed(seed)
    images = keras.Input((8, 8, channels))
    conv = functools.partial(keras.layers.Conv2D, 4, 3, padding="same", use_bias=False)
    stem = keras.layers.BatchNormalization(name="stem_bn")(conv(strides=2, name="stem_conv")(before(images)))
    skip = keras.layers.ReLU(name="stem_relu")(stem)
    x = keras.layers.BatchNormalization(name="stage1_block1_bn1")(conv(name="stage1_block1_conv1")(skip))
    x = keras.layers.Add(name="stage1_block1_add")([x, skip]) if shortcuts else x
    x = keras.layers.ReLU(name="stage1_block1_out")(x)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x) if dropout else x
    return keras.Model(images, keras.layers.Dense(4, name="logits")(x))


def adapted(**options):
    """`one_block` with random weights, behind a Normalization that has adapted to images of mean 5."""
    scale = keras.layers.Normalization(name="scale")
    network = shaken(one_block(before=scale, **options))
    scale.adapt(np.random.default_rng(0).normal(5, 3, (50, 8, 8, 3)).astype("float32"))
    return network


def user_network(combine=None, ends=(("logits", 4),), out="out"):
    """Two blocks in words of one's own; `combine(skip, branch, name)` makes what the last ReLU of each reads.

    Args:
      combine: None: the branch alone.
      ends: names and units of its outputs.
      out: what the last ReLU of a block is called behind the block's name.
    """
    images = keras.Input((8, 8, 3))
    conv = functools.partial(keras.layers.Conv2D, 4, 3, padding="same")
    x = conv(name="stem_conv")(images)
    for name in ("stage1_block1", "stage1_block2"):
        skip = x
        x = keras.layers.BatchNormalization(name=f"{name}_bn1")(conv(name=f"{name}_conv1")(x))
        x = keras.layers.ReLU(name=f"{name}_relu1")(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn2")(conv(name=f"{name}_conv2")(x))
        x = keras.layers.ReLU(name=f"{name}_{out}")(combine(skip, x, name) if combine else x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, [keras.layers.Dense(units, name=name)(x) for name, units in ends])
