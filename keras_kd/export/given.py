"""A network that was trained elsewhere, with images of its classes that tell how it wants its pixels.

source = find_source("classifier.keras", "photos")
bundle.export_bundle(source, target, config)
"""

import dataclasses
import functools
import pathlib

import keras
import numpy as np
from PIL import Image

from keras_kd.data import augmentation, datasets, image_folder, npz
from keras_kd.data.dataset import Dataset, Split, is_multi_label
from keras_kd.distillation import class_map as class_maps
from keras_kd.distillation import teacher_inputs
from keras_kd.export import sources
from keras_kd.models import inference, logits, network_checks, outputs, serialization
from keras_kd.training import teacher_check, teacher_preprocessing
from keras_kd.training.teacher_accuracy import SAMPLE, chance_of, is_chance, measured_split
from keras_kd.utils import progress

AUTO, PREPROCESSINGS = teacher_preprocessing.AUTO, teacher_inputs.PREPROCESSINGS


@dataclasses.dataclass(frozen=True)
class GivenImages(Dataset):
    """Images for a network that wants its pixels scaled in a way of its own.

    Attributes:
      preprocessing: one of `teacher_inputs.PREPROCESSINGS`; "dataset": by mean and deviation of train.
    """

    preprocessing: str = "dataset"

    @functools.cached_property
    def mean(self):
        """float32 `[channels]`, of pixels in [0, 1], in the order in which the network takes channels."""
        return self._scale[0]

    @functools.cached_property
    def std(self):
        return self._scale[1]

    @functools.cached_property
    def _scale(self):
        if self.preprocessing == "dataset":
            return self._moments
        values = (np.asarray(each, "float32") for each in teacher_inputs.SCALES[self.preprocessing])
        return tuple(np.broadcast_to(each, self.image_shape[-1:]) for each in values)

    def scaled(self, images):
        """What the network takes of uint8 images, float32."""
        if self.preprocessing == "none":
            return keras.ops.cast(images, "float32")
        images = keras.ops.flip(images, axis=-1) if self.preprocessing == "caffe" else images
        return augmentation.normalise(images, self.mean, self.std)


def find_source(path, images, *, preprocessing=AUTO, class_map=None):
    """The `sources.Source` of a network that this package did not train.

    Args:
      path: of a .keras file: from images to logits, to softmax, or to sigmoid of yes or no.
      images: where labelled images of its classes are: a folder, an `.npz` file or another name of
        `keras_kd.data.load`. Its test images measure; without a test split all do.
      preprocessing: how pixels are scaled, of `PREPROCESSINGS`; "auto": as the network's layers and names let
        expect, unless another way is far better on these images.
      class_map: which output means which class, see `distillation.class_map`; None: in order of their names.

    Raises:
      ValueError: for a network or images that do not fit, or a network whose classes are in another order.
    """
    path = pathlib.Path(path)
    if sources.belongs_to_run(path):
        raise ValueError(f"{path} is of a run, whose own images say how it is asked: give no others")
    network = serialization.load_model(path)
    plain = read_images(images, network)
    network = _with_logits(network, plain, _places(network, plain, class_map))
    chosen, words = teacher_preprocessing.choose(network, plain, preprocessing, role="network")
    progress.say(f"{path.name}: pixels are {words}")
    _check_order(network, plain, chosen)
    fields = {field.name: getattr(plain, field.name) for field in dataclasses.fields(Dataset)}
    about = {
        "name": plain.name,
        "fingerprint": plain.fingerprint,
        "examples": {"calibration": len(plain.train.labels), "test": len(plain.test.labels)},
    }
    dataset = GivenImages(**fields, preprocessing=chosen)
    return sources.Source(path, path.stem, network, dataset, {"dataset": about, "preprocessing": words})


# ------------------------------------------------------------------------------ its images


def read_images(name, network):
    """The `Dataset` of labelled images of the size that a network takes; nothing is set aside.

    Raises:
      ValueError: if the network takes other images.
    """
    network_checks.check_network(network)
    shapes = outputs.input_shapes(network)
    height, width, channels = shapes[0][1:] if len(shapes) == 1 and len(shapes[0]) == 4 else (None,) * 3
    splits, class_names = _read(name, height if height == width else None, channels == 1)
    datasets.check_splits(splits, len(class_names), name)
    train = splits["train"]
    nothing = train.take(np.arange(0))
    validation, test = splits.get("validation", nothing), splits.get("test", train)
    about = {"flips": False, "resizing": datasets.resizing_of(name)}
    found = Dataset(str(name), train, validation, test, tuple(class_names), **about)
    if shapes is None or len(shapes) > 1 or not network_checks.takes(shapes[0], (None, *found.image_shape)):
        raise ValueError(
            f"the network {network.name!r} takes inputs of shape {', '.join(map(str, shapes or []))}. "
            f"Received: images of shape {found.image_shape} in {name}"
        )
    return found


def _read(name, size, is_grey):
    """`({split: Split}, class names)`; images of a folder are resized to `size`, or to what its name says."""
    folder = None if str(name) == datasets.DEFAULT else image_folder.find(name)
    if folder is not None:
        source, positions, class_names = image_folder.read(folder[0], folder[1] or size)
        return image_folder.as_splits(GreyImages(source) if is_grey else source, positions), class_names
    if str(name).endswith(".npz"):
        return npz.read(pathlib.Path(name))
    found = datasets.load(name)
    return {split: getattr(found, split) for split in ("train", "validation", "test")}, found.class_names


class GreyImages:
    """The luminance of the images of an `ImageSource`, which is one again."""

    def __init__(self, source):
        self._source = source
        self.labels, self.bad, self.is_raw = source.labels, source.bad, False

    @property
    def image_shape(self):
        return (*self._source.image_shape[:2], 1)

    def read(self, index):
        images = self._source.read(index)
        return np.stack([np.asarray(Image.fromarray(image).convert("L"))[..., None] for image in images])

    def digest(self, index):
        return f"grey {self._source.digest(index)}"


# ------------------------------------------------------------------------------ its classes


def _places(network, dataset, class_map):
    """The output of each class; None where all are in order."""
    shapes = [tuple(x.shape) for x in getattr(network, "outputs", None) or []]
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise ValueError(
            f"the network {network.name!r} must have one output of shape [batch, classes]. "
            f"Received: {', '.join(map(str, shapes)) or 'a network without a graph'}"
        )
    count = logits.TWO_CLASSES if logits.says_yes_or_no(network, dataset) else shapes[0][1]
    if class_map is not None:
        return class_maps.places(class_map, dataset.class_names, count)
    if count != dataset.num_classes:
        raise ValueError(
            f"the network {network.name!r} has {count} outputs, and the images of {dataset.name} have "
            f"{dataset.num_classes} classes: give images of all its classes, or a class_map"
        )
    return None


def _with_logits(network, dataset, places):
    """The network as one of logits of the images' classes."""
    options = {"independent": is_multi_label(dataset)}
    if logits.says_yes_or_no(network, dataset) or places is not None:
        return logits.of_classes(network, places, binary=logits.says_yes_or_no(network, dataset), **options)
    return outputs.with_logits(network, **options)


def _check_order(network, dataset, preprocessing):
    """Raises a ValueError if the classes seem to be in another order; a line says if nothing is right."""
    split = getattr(dataset, measured_split(dataset))
    index = np.random.default_rng(0).permutation(len(split.labels))[:SAMPLE]
    sample = Split(split.images[index], split.labels[index])
    prepare = teacher_inputs.inputs_for(network, dataset, preprocessing)
    images = augmentation.normalise(sample.images, dataset.mean, dataset.std)
    answers = keras.ops.convert_to_numpy(inference.compiled(network)(prepare(images)))
    found = float(np.mean(inference.right_answers(answers, sample.labels)))
    if cause := teacher_check.order_remark(dataset, sample.labels, answers, found):
        raise ValueError(f"the network {network.name!r} is right on {found:.1%} of the images: {cause}")
    if is_chance(found, len(sample.labels), chance_of(sample.labels)):
        progress.say(
            f"note: the network {network.name!r} is right on {found:.1%} of {len(sample.labels)} images, no "
            f"better than chance: are these images of its classes, and is it trained?"
        )
