"""The graph of a network: outputs of many layers in one forward pass, and what hangs on what."""

import contextlib
import difflib
import functools
import sys
import warnings

import keras

# What stands for a size that a model leaves open, where it is tried on numbers.
UNKNOWN_SIZE = 32

# How deep Keras may recurse in `deep_graphs`.
_RECURSION_LIMIT = 20000


@contextlib.contextmanager
def deep_graphs():
    """Lets Keras walk, build and load networks deeper than about 280 layers.

    Keras walks a functional graph by recursion; Python's usual limit stops it there.
    """
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, _RECURSION_LIMIT))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def feature_extractor(model, layer_names=(), answers=None):
    """A model that computes `model`'s output and the outputs of some of its layers at once.

    It shares the layers of `model`: nothing is copied and nothing runs twice.

    Args:
      model: a built functional or sequential `keras.Model` with one output.
      layer_names: names of its layers.
      answers: a model on the same layers whose output takes the place of that of `model`; None: `model`.

    Returns:
      A `keras.Model` with the outputs `{"logits": that output, layer_name: its output, ...}`.

    Raises:
      ValueError: where `check_layers` says something.
    """
    check_layers(model, layer_names)
    answers = answers or model
    taps = {name: model.get_layer(name).output for name in layer_names}
    with deep_graphs():
        if not _is_within(model, taps):
            answers, called = _called_again(answers)
            taps = {name: called.get(name, tap) for name, tap in taps.items()}
        outputs = {"logits": answers.outputs[0]} | taps
        return keras.Model(inputs_of(answers), outputs, name=f"{model.name}_taps")


def _is_within(model, taps):
    """Whether outputs of layers, `{name: tensor}`, are those on the way to the output of a model.

    A layer names the output of its first call ever, which may have been in another model, or in a Sequential
    that had fewer layers then: a file's is put together layer by layer.
    """
    try:
        tapped = keras.Model(inputs_of(model), [model.outputs[0], *taps.values()])
    except ValueError:  # they hang on other inputs
        return False
    return calls_of(tapped) == calls_of(model)


def _called_again(model):
    """`(a model, {name: output})`: the same layers called once more, and what each of them returns there."""
    found = {}

    def call(layer, *args, **kwargs):
        found[layer.name] = layer(*args, **kwargs)
        return found[layer.name]

    options = {"clone_function": lambda layer: layer, "call_function": call}
    called = keras.models.clone_model(to_one_output(model), input_tensors=inputs_of(model), **options)
    return called, found


def check_layers(model, layer_names=()):
    """Raises a ValueError for a model without a graph, and for names whose one output is not known.

    These are unknown names, models inside, and layers that are called several times.

    Args:
      model: a `keras.Model`.
      layer_names: of its layers.
    """
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"only functional and sequential models that are built have layers to tap. "
            f"Received: model={model.name!r} of type {type(model).__name__}"
        )
    if layer_names and type(model).call not in _calls_of_a_graph():
        raise ValueError(
            f"model {model.name!r} of type {type(model).__name__} has a call of its own, and layers are "
            f"tapped in its graph alone, which does not know of it: build it of layers, without a call. "
            f"Received: layer_names={list(layer_names)}"
        )
    known = {layer.name for layer in model.layers}
    unknown = [name for name in layer_names if name not in known]
    if unknown:
        near = difflib.get_close_matches(str(unknown[0]), known, 3, cutoff=0)
        raise ValueError(
            f"model {model.name!r} has no layer {unknown[0]!r}; the nearest of its {len(known)} are "
            f"{', '.join(map(repr, near))}"
        )
    inside = [name for name in layer_names if isinstance(model.get_layer(name), keras.Model)]
    if inside:  # its output is that of its own graph
        raise ValueError(
            f"{inside[0]!r} is a model inside {model.name!r}, whose output cannot be tapped: name a layer "
            f"behind it, such as a keras.layers.Identity. Received: layer_names={list(layer_names)}"
        )
    calls = calls_of(model) if layer_names else {}
    several = [name for name in layer_names if calls.get(name, 1) > 1]
    if several:
        raise ValueError(
            f"layer {several[0]!r} of model {model.name!r} is called {calls[several[0]]} times, and which of "
            f"its outputs is meant is not known: name a layer that is called once. "
            f"Received: layer_names={list(layer_names)}"
        )


@functools.cache
def _calls_of_a_graph():
    """What `call` is of models that compute their graph, and nothing around it."""
    x = keras.Input((1,))
    return type(keras.Model(x, x)).call, keras.Sequential.call


def inputs_of(model):
    """The symbolic inputs of a functional or sequential model, in the structure that it takes."""
    return model.inputs[0] if isinstance(model, keras.Sequential) else model.input


def uncompiled(model):
    """The graph of a functional or sequential model on the same layers, as a functional one to be cloned.

    Keras compiles the clone of a compiled model likewise, and cannot where it does not know the loss.
    """
    output = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
    return keras.Model(inputs_of(model), output, name=model.name)


def to_one_output(model):
    """As `uncompiled`, of a model with one output: to that tensor, even where the model returns a dict."""
    return keras.Model(inputs_of(model), model.outputs[0], name=model.name)


def all_layers(model):
    """The layers of a model and of the models inside it, outermost first."""
    for layer in getattr(model, "layers", ()):
        yield layer
        yield from all_layers(layer)


def all_parts(model):
    """As `all_layers`, of a model or a layer, and what layers hold, as `Bidirectional` does; each once."""
    found = {}
    _add_parts(model, found)
    return list(found.values())[1:]


def _add_parts(layer, found):
    """Adds a layer, and what it holds in its attributes, to `{id: layer}`."""
    if id(layer) in found:
        return
    found[id(layer)] = layer
    held = layer.layers if isinstance(layer, keras.Model) else _layers_in(vars(layer))
    for each in held:
        _add_parts(each, found)


def _layers_in(value):
    """The layers in a value and in the lists and dicts that it is made of."""
    if isinstance(value, keras.Layer):
        return [value]
    values = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [layer for each in values for layer in _layers_in(each)]


def source_names(node):
    """Names of the layers whose outputs a call in a functional model's configuration takes."""
    return [name for name, _ in source_calls(node)]


def source_calls(node):
    """`(layer or operation, number of its call)` of each output that a call, or a list of outputs, takes."""
    if isinstance(node, dict) and node.get("keras_history"):
        return [tuple(node["keras_history"][:2])]
    if isinstance(node, (list, tuple)) and len(node) == 3 and isinstance(node[0], str):
        return [tuple(node[:2])]  # the form of inputs and outputs
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ()
    return [call for part in parts for call in source_calls(part)]


def replaced(old, new, arguments):
    """A structure of a layer's arguments with one tensor in place of another."""
    return keras.tree.map_structure(lambda x: new if x is old else x, arguments, none_is_leaf=True)


def sources_of(model):
    """`{layer or operation: [names of those whose outputs it takes, for each of its calls]}`.

    Args:
      model: a built functional or sequential `keras.Model`.
    """
    with deep_graphs():
        config = keras.Model(inputs_of(model), model.outputs).get_config()
    return {each["name"]: [source_names(node) for node in each["inbound_nodes"]] for each in config["layers"]}


def calls_of(model):
    """`{layer or operation: how often the model calls it}`; of none where some layer has no configuration.

    Args:
      model: a built functional or sequential `keras.Model`.
    """
    return {name: len(nodes) for name, nodes in known_sources(model).items()}


def known_sources(model):
    """As `sources_of`; of none where some layer has no configuration."""
    try:
        with warnings.catch_warnings():  # Keras warns of functions that it could not save
            warnings.simplefilter("ignore")
            return sources_of(model)
    except Exception:  # of a layer, which may be anyone's
        return {}


def model_inside(model, before=None):
    """The model inside a functional one that makes its output, or the input of the layer `before`; else None.

    Its own tensors do not say so: they are those that it was built with.
    """
    try:
        config = model.get_config()
        nodes = {layer["name"]: layer["inbound_nodes"] for layer in config["layers"]}
        node = nodes[before.name] if before else config["output_layers"]
    except (NotImplementedError, KeyError, TypeError):
        return None
    inside = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return next((layer for layer in inside if layer.name in source_names(node)), None)


def layer_before(model, layer):
    """The layer or operation whose output `layer` takes; None if there is none, or several are joined."""
    if isinstance(model, keras.Sequential):
        place = model.layers.index(layer)
        return model.layers[place - 1] if place else None
    return maker_of(model, layer.input) or model_inside(model, layer)


def maker_of(model, tensor):
    """The layer or operation of a functional model that makes a tensor; None if a model inside it does."""
    return next((each for each in reversed(model.operations) if _output(each) is tensor), None)


def _output(operation):
    try:
        return operation.output
    except (AttributeError, ValueError):  # it has no single one
        return None
