"""Layers at which networks are compared when no one names them: ends of stages, and the penultimate one."""

import itertools

import keras

from keras_kd.models import blocks, data_format, graph

DEPTH = 4  # axes of feature maps: batch, height, width, channels

# They have weights, and still their maps are those that they are given, in another scale.
_NORMALISE = (keras.layers.BatchNormalization, keras.layers.Normalization)

_CHANGE_THE_EDGE = (keras.layers.Cropping2D, keras.layers.ZeroPadding2D)

_GLOBAL_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


def stage_ends(model):
    """The last layer of each stage.

    Args:
      model: a built functional or sequential `keras.Model`.

    Returns:
      `{(height, width): name}`, in the model's order: of its blocks where it has any (see `blocks_of`), else
      the last layer that is called once with learned feature maps of each size. Left out are the images
      before the first kernel, maps that are only padded or cropped, what comes of global pooling (gates,
      heads), and sizes after which maps become larger again, as in a decoder.

    Raises:
      ValueError: for a model without a graph, where only a model inside it or a layer that is called several
        times has feature maps of a size, or for maps whose channels come first.
    """
    graph.check_layers(model)
    of_blocks = [block.last for block in blocks.blocks_of(model)]
    sizes = _sizes(model, of_blocks or _learned(model))
    inside = [name for name in sizes if isinstance(model.get_layer(name), keras.Model)]
    data_format.check_channels_last(model, [name for name in sizes if name not in inside])
    sizes = sizes if of_blocks else _without_dips(sizes)
    inside = [name for name in inside if name in sizes]
    calls = graph.calls_of(model)
    untold = [*inside, *(name for name in sizes if calls.get(name, 1) > 1)]
    last = {size: name for name, size in sizes.items() if name not in untold}
    ends = {size: name for name, size in sizes.items() if last.get(size) == name}
    hidden = [name for name in untold if sizes[name] not in ends]
    if hidden:
        what = f"model {hidden[0]!r} inside" if hidden[0] in inside else f"layer {hidden[0]!r} of"
        why = "cannot be tapped" if hidden[0] in inside else "is one of several calls"
        raise ValueError(
            f"only the {what} {model.name!r} has feature maps of {sizes[hidden[0]]}, and its output {why}: "
            f"name the layers to compare. Received: layers {_listed(model)}"
        )
    return ends


def _sizes(model, names):
    """`{name: (height, width)}` of the layers that have maps."""
    shapes = {name: _shape(model.get_layer(name)) for name in names}
    return {name: shape[1:3] for name, shape in shapes.items() if len(shape) == DEPTH}


def _learned(model):
    """Names of layers from the first kernel on that may end a stage, in the model's order."""
    learned = itertools.dropwhile(lambda layer: not _has_kernel(layer), model.layers)
    pooled = _pooled(model)
    left_out = (keras.layers.InputLayer, *_CHANGE_THE_EDGE)
    return [each.name for each in learned if not isinstance(each, left_out) and each.name not in pooled]


def _has_kernel(layer):
    return bool(layer.weights) and not isinstance(layer, _NORMALISE)


def _pooled(model):
    """Names of the layers that compute with globally pooled features alone, the pooling included."""
    pools = {layer.name for layer in model.layers if isinstance(layer, _GLOBAL_POOLING)}
    found = set(pools)
    for name, calls in graph.known_sources(model).items():
        sources = [source for call in calls for source in call]
        if sources and found.issuperset(sources):
            found.add(name)
    return found


def _without_dips(sizes):
    """The sizes of layers, in order, without those behind whose last come larger maps, as in a decoder."""
    ordered = list(sizes.values())
    last = {size: place for place, size in enumerate(ordered)}
    dips = {size for size, place in last.items() if any(_is_larger(each, size) for each in ordered[place:])}
    return {name: size for name, size in sizes.items() if size not in dips}


def _is_larger(size, other):
    return any(None not in pair and pair[0] > pair[1] for pair in zip(size, other, strict=True))


def _listed(model):
    return ", ".join(f"{layer.name!r} {_shape(layer)}" for layer in model.layers)


def _shape(layer):
    output = layer.output
    return tuple(output.shape) if isinstance(output, keras.KerasTensor) else ()


def penultimate(model):
    """Name of the layer whose output the last dense layer takes.

    Raises:
      ValueError: for a model without a graph or without a dense layer behind another one.
    """
    graph.check_layers(model)
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    if dense:
        before = graph.layer_before(model, dense[-1])
        if isinstance(before, keras.layers.Layer) and not isinstance(before, keras.layers.InputLayer):
            return before.name
    raise ValueError(
        f"model {model.name!r} has no dense layer behind another one: name the layers to compare. "
        f"Received: layers {[layer.name for layer in model.layers][-3:]} at its end"
    )


def _pairs_of_stages(teacher, student):
    of_teacher, of_student = map(_some_ends, (teacher, student))
    for model, ends in ((teacher, of_teacher), (student, of_student)):
        _check_sizes(model, ends)
    sizes = [size for size in of_teacher if size in of_student]
    if not sizes:
        raise ValueError(
            f"no stages of the two networks have feature maps of one size: name the layers to compare. "
            f"Received: {of_teacher} of {teacher.name!r} (teacher) and {of_student} of {student.name!r} "
            f"(student), as {{(height, width): layer}}"
        )
    return [of_teacher[size] for size in sizes], [of_student[size] for size in sizes]


def _check_sizes(model, ends):
    """Raises a ValueError for maps of open size: those of all stages look alike."""
    if any(None in size for size in ends):
        raise ValueError(
            f"stages are paired by their maps' height and width, which are open in model {model.name!r}: "
            f"give its keras.Input both, or name the layers to compare. "
            f"Received: {ends}, as {{(height, width): layer}}"
        )


def _some_ends(model):
    found = stage_ends(model)
    if not found:
        raise ValueError(
            f"model {model.name!r} has no layer with feature maps: name the layers to compare. "
            f"Received: layers {_listed(model)}"
        )
    return found


def _last_stages(teacher, student):
    ends = [list(_some_ends(model).values()) for model in (teacher, student)]
    return ends[0][-1:], ends[1][-1:]


def _penultimate(teacher, student):
    return [penultimate(teacher)], [penultimate(student)]


# Each gives `(names in the teacher, names in the student)`, in pairs.
PAIRS = {"stages": _pairs_of_stages, "last_stage": _last_stages, "penultimate": _penultimate}
