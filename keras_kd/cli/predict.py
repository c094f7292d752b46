"""Ask a trained network about image files: the classes with their probabilities.

    keras-kd predict runs/distill-digits seven.png eight.png

The network is a run's folder (its last student), a .keras file in one, or a SavedModel, .tflite or .onnx file
that export wrote. Images are read and resized as those that it was measured on.
"""

import contextlib
import json
import pathlib
import sys

from keras_kd.cli import export_flags, flags
from keras_kd.utils import limits

ARGUMENTS = "STUDENT IMAGE..."


def define_flags(values):
    """Defines the command's flags on an `absl.flags.FlagValues`."""
    common = flags.Group(values, flags.COMMON)
    common.integer("top", 3, "Classes told of each image, the likeliest first.", limits.CLASSES)
    common.switch("json", False, "Print JSON and nothing else; notes go to stderr.")
    common.text("dataset", None, "Where the run's dataset is, if it has moved.")
    common.text("data_dir", None, "Where tensorflow-datasets keeps its data.")
    export_flags.define_given(values)
    common.integer("batch_size", 64, "Images at a time.", limits.IMAGES_AT_A_TIME)


def check(values):
    """Raises an error for flags that do not go together."""
    export_flags.check_given(values)


def check_arguments(arguments):
    """Raises a ValueError without a network and an image."""
    if len(arguments) < 2:
        raise ValueError(
            f"give a network and images, as in keras-kd predict runs/distill-digits seven.png. "
            f"Received: {' '.join(arguments) or 'nothing'}"
        )


def main(values, arguments):
    """Does what the flags ask for, of a network and images."""
    from keras_kd.cli import console
    from keras_kd.data import image_decoding
    from keras_kd.export import prediction
    from keras_kd.utils import backend

    backend.hide_gpus()
    student, *paths = arguments
    with contextlib.redirect_stdout(sys.stderr) if values.json else contextlib.nullcontext():
        predictor = _open(student, values)
        found, bad = prediction.predict(predictor, _image_files(paths), values.batch_size)
    top = min(values.top, len(found[0].probabilities)) if found else 0
    if values.json:
        print(json.dumps([_as_json(predictor, each) for each in found], indent=2))
    elif found:
        _print(predictor, found, top)
        if predictor.path.suffix == ".keras":
            asked = flags.given_of(values, (*flags.MOVED_DATA, *export_flags.GIVEN))
            console.print_next("export", model=image_decoding.shown(predictor.path), **asked)
    if bad:
        reasons = "; ".join(f"{each.name} {each.reason}" for each in bad)
        raise ValueError(f"{len(bad)} of {len(bad) + len(found)} images cannot be used: {reasons}")


def _open(student, values):
    """The `Predictor` of a network of a run, of an exported file, or from elsewhere with images."""
    from keras_kd.export import given, prediction

    if not values.images:
        return prediction.open_predictor(student, values.dataset, values.data_dir)
    asked = {"preprocessing": values.preprocessing or given.AUTO, "class_map": values.class_map}
    return prediction.of_source(given.find_source(student, values.images, **asked))


def _image_files(paths):
    """The images that paths name; of a folder those that lie in it."""
    from keras_kd.data import image_decoding

    for path in map(pathlib.Path, paths):
        if path.is_dir():
            within = (each for each in path.iterdir() if image_decoding.is_image(each.name))
            yield from sorted(within)
        else:
            yield path


def _as_json(predictor, found):
    from keras_kd.data.image_decoding import shown

    shares = {predictor.name_of(place): float(share) for place, share in enumerate(found.probabilities)}
    likeliest = max(shares, key=shares.get)
    return {
        "image": shown(found.path),
        "class": likeliest,
        "probability": shares[likeliest],
        "probabilities": shares,
    }


def _print(predictor, found, top):
    from keras_kd.cli import console
    from keras_kd.data.image_decoding import shown
    from keras_kd.export import prediction

    columns = ["image", "class", "probability", *(f"{place}. likeliest" for place in range(2, top + 1))]
    rows = [dict(zip(columns, _row(predictor, each, top), strict=True)) for each in found]
    if len(rows) == 1:
        print("{image} shows {class}, the network says: {probability}.".format(**rows[0]))
    right, of = prediction.right_by_folder(predictor, found)
    if of > 1:
        share = console.percent(right / of)
        print(f"Right on {right} of {of} images ({share}), by the names of the folders that they lie in.")
    console.print_table(f"{shown(predictor.path)} on {len(found)} image(s)", rows, columns)


def _row(predictor, found, top):
    from keras_kd.cli import console
    from keras_kd.data.image_decoding import shown

    places = found.likeliest(top)
    names = [shown(predictor.name_of(place)) for place in places]
    shares = [console.percent(found.probabilities[place]) for place in places]
    others = [f"{name} {share}" for name, share in zip(names[1:], shares[1:], strict=True)]
    return [shown(found.path), names[0], shares[0], *others]
