"""Exported files beside their Keras model: what each is for, and how well it agrees, as text."""

from keras_kd.reporting import formatting

COLUMNS = ("file", "size", "logits differ by", "same class", "accuracy", "points", "images")

MARK = " (!)"  # behind a file that differs much


def rows(about):
    """The table of a `manifest.Manifest`: the Keras model first; differences are relative to it.

    Accuracies are those on all test images; of a file that was asked about fewer only the change is known.
    """
    of_all = "n/a" if about.test_images is None else f"{about.test_images}"
    first = ["the Keras model", "", "", "", _accuracy(about.accuracy), "", of_all]
    return [first, *(_row(each, about) for each in about.files)]


def _row(file, about):
    found, change = file.parity, file.parity.accuracy_change
    is_whole = about.accuracy is not None and found.images == about.test_images
    return [
        f"{file.file}{MARK if file.remark else ''}",
        formatting.in_bytes(file.bytes),
        difference(found.max_logit_difference),
        formatting.share_of_all(found.same_class),
        _accuracy(about.accuracy + change if is_whole and change is not None else None),
        formatting.small_points(change),
        f"{found.images}",
    ]


def _accuracy(share):
    return "n/a" if share is None else formatting.share_of_all(share)


def difference(share):
    """A difference of logits as a share of the largest: "2.3 %", or "1.4e-06" where that is nothing."""
    return f"{share:.1e}" if 0 < share < 1e-3 else f"{100 * share:.2g} %"


def advice(about):
    """`(file, size, what to use it for, how it answers)` of each file of a `manifest.Manifest`."""
    return [
        (each.file, formatting.in_bytes(each.bytes), f"use this one for {each.use}", _answers(each))
        for each in about.files
    ]


def _answers(file):
    count = file.parity.images
    differing = round((1 - file.parity.same_class) * count)
    answers = f"another class in {differing} of {count}" if differing else f"same class in all {count}"
    return f"{answers}{MARK if file.remark else ''}"
