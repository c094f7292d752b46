"""Multiply-adds of each operation of a network, from the shapes of what it reads and writes.

One multiply-add is a multiplication whose result is added to something, in a convolution, a product of
matrices, attention or a recurrent layer. What works on each number alone, or only moves numbers, has none by
convention: activations, normalisation, sums, pooling, resizing, and all that does nothing in inference. Each
operation is one or the other, or is not counted: nothing is 0 because it is unknown.
"""

import math

import keras
from keras import layers

from keras_kd.models.branches import MovingStatistics
from keras_kd.models.fading import FadingShortcut
from keras_kd.models.logits import ClassLogits
from keras_kd.models.operations import Shape, list_operations
from keras_kd.models.outputs import LogitsOfProbabilities, WithoutActivation


def count(operation):
    """Multiply-adds for one example.

    Args:
      operation: an `operations.Operation`.

    Returns:
      A whole number; None where it is not known: of a layer of one's own, a function of one's own, or an
      operation that has no rule here.
    """
    if operation.layer is not None:
        return count_layer(operation.layer, operation.args, operation.kwargs, operation.shape)
    if operation.kind == "Matmul":
        return _matmul(operation.args, operation.shape)
    return 0 if operation.kind in ELEMENTWISE_OPERATIONS.split() else None


def count_layer(layer, args, kwargs, output):
    """As `count`, of a layer that is called with `args` and `kwargs` and gives a tensor of shape `output`."""
    kind = _known_kind(layer)
    if kind in ELEMENTWISE_LAYERS:
        return 0
    if kind is None or any(None in shape for shape in [output, *_shapes(args), *_shapes(kwargs)]):
        return None
    return RULES[kind](layer, args, kwargs, output)


def _known_kind(layer):
    """The class of Keras whose computation a layer does: its own, or one that it inherits as it is."""
    for kind in type(layer).__mro__:
        if kind in RULES or kind in ELEMENTWISE_LAYERS:
            return kind if type(layer).call is kind.call else None
    return None


def _shapes(node):
    if isinstance(node, Shape):
        return [node]
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, tuple) else ()
    return [shape for part in parts for shape in _shapes(part)]


def _size(weight):
    return math.prod(weight.shape)


def _positions(layer, shape):
    """How many there are in the feature map of a convolution."""
    return math.prod(shape[:-1] if layer.data_format == "channels_last" else shape[1:])


# --------------------------------------------------------------------------- convolutions and dense layers


def _convolution(layer, args, kwargs, output):
    """Every weight meets every position of the output once; in groups, each kernel reads its group alone."""
    return _size(layer.kernel) * _positions(layer, output)


def _transposed(layer, args, kwargs, output):
    """Every weight meets every position of the input once."""
    return _size(layer.kernel) * _positions(layer, args[0])


def _separable(layer, args, kwargs, output):
    return (_size(layer.depthwise_kernel) + _size(layer.pointwise_kernel)) * _positions(layer, output)


def _dense(layer, args, kwargs, output):
    return args[0][-1] * math.prod(output)


def _einsum_dense(layer, args, kwargs, output):
    """Every combination of the indices of input and kernel is one multiply-add."""
    operands, _ = layer.equation.replace(" ", "").split("->")
    inputs, kernel = operands.split(",")
    sizes = dict(zip(kernel, layer.kernel.shape, strict=True))
    before, dots, after = inputs.partition("...")
    shape = (1, *args[0])
    last = len(shape) - len(after)
    sizes |= dict(zip(before + after, shape[: len(before)] + shape[last:], strict=True))
    return math.prod(sizes.values()) * (math.prod(shape[len(before) : last]) if dots else 1)


def _reversible_embedding(layer, args, kwargs, output):
    """Looking up costs nothing; the reverse is a dense layer."""
    reverse = args[1] if len(args) > 1 else kwargs.get("reverse", False)
    return args[0][-1] * math.prod(output) if reverse else 0


# --------------------------------------------------------------------------- products and attention


def _matmul(args, output):
    if len(args) != 2 or not all(isinstance(each, Shape) and None not in each for each in args):
        return None
    return args[0][-1] * math.prod(output) if args[0] else None


def _dot(layer, args, kwargs, output):
    axes = layer.axes if isinstance(layer.axes, int) else layer.axes[0]
    return (1, *args[0][0])[axes] * math.prod(output)


def _attention(layer, args, kwargs, output):
    """Luong's: scores are products of query and key, or sums for `score_mode="concat"`."""
    query, value = args[0][:2]
    width = query[-1] if layer.score_mode == "dot" else 0
    return math.prod(query[:-1]) * value[-2] * (width + value[-1])


def _additive_attention(layer, args, kwargs, output):
    """Bahdanau's: scores are sums over tanh(query + key), each term times a weight if `use_scale`."""
    query, value = args[0][:2]
    width = query[-1] if layer.use_scale else 0
    return math.prod(query[:-1]) * value[-2] * (width + value[-1])


def _multi_head_attention(layer, args, kwargs, output):
    """Four projections, the scores, and the values weighted by them."""
    query, value, key = _query_value_key(args, kwargs)
    config = layer.get_config()
    heads, width = config["num_heads"], config["key_dim"]
    value_width = config["value_dim"] or width
    axes = config["attention_axes"] or range(1, len(value))
    seen = math.prod(value[axis - 1] for axis in axes)
    projections = (
        (layer.query_dense, query),
        (layer.key_dense, key),
        (layer.value_dense, value),
        (layer.output_dense, query),
    )
    found = sum(_size(dense.kernel) * math.prod(shape[:-1]) for dense, shape in projections)
    gate = math.prod(query) * heads * value_width if config.get("use_gate") else 0
    return found + gate + math.prod(query[:-1]) * seen * heads * (width + value_width)


def _grouped_query_attention(layer, args, kwargs, output):
    """As multi-head attention, with fewer heads for keys and values."""
    query, value, key = _query_value_key(args, kwargs)
    config = layer.get_config()
    width = config["head_dim"]
    heads, groups = config["num_query_heads"] * width, config["num_key_value_heads"] * width
    of_query = math.prod(query) * heads * (3 if config.get("use_gate") else 2)  # and its way back
    return of_query + (math.prod(key) + math.prod(value)) * groups + query[-2] * value[-2] * heads * 2


def _query_value_key(args, kwargs):
    given = dict(zip(("query", "value", "key"), args, strict=False)) | kwargs
    return given["query"], given["value"], given.get("key") or given["value"]


# --------------------------------------------------------------------------- recurrent layers and wrappers


def _recurrent(layer, args, kwargs, output):
    step = _cell(layer.cell, (), {}, ())
    return None if step is None else args[0][0] * step


def _cell(cell, args, kwargs, output):
    """One step: the input and the state, each times a kernel; products of gates are no multiply-adds."""
    if isinstance(cell, layers.StackedRNNCells):
        steps = [_cell(each, (), {}, ()) for each in cell.cells]
        return None if None in steps else sum(steps)
    is_known = _known_kind(cell) in (layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell)
    return _size(cell.kernel) + _size(cell.recurrent_kernel) if is_known else None


def _recurrent_convolution(layer, args, kwargs, output):
    """Both convolutions of each step have the positions of the output."""
    if layer.return_state:
        return None  # the shape of one of the outputs does not tell them
    frame = output[1:] if layer.return_sequences else output
    kernels = _size(layer.cell.kernel) + _size(layer.cell.recurrent_kernel)
    return args[0][0] * kernels * _positions(layer.cell, frame)


def _bidirectional(layer, args, kwargs, output):
    found = [count_layer(each, args, kwargs, output) for each in (layer.forward_layer, layer.backward_layer)]
    return None if None in found else sum(found)


def _time_distributed(layer, args, kwargs, output):
    steps, shape = args[0][0], Shape(args[0][1:])
    if isinstance(layer.layer, keras.Model):
        found = _model(layer.layer, shape)
    else:
        found = count_layer(layer.layer, (shape,), {}, Shape(output[1:]))
    return None if found is None else steps * found


def _model(model, shape):
    """Of a model with one input of this size, which is called by a wrapper."""
    if [tuple(tensor.shape[1:]) for tensor in getattr(model, "inputs", None) or ()] != [shape]:
        return None
    found = [count(operation) for operation in list_operations(model)]
    return None if None in found else sum(found)


def _wrapped(layer, args, kwargs, output):
    """A wrapper that changes its layer's activation, or in training alone its kernel."""
    return count_layer(layer.layer, args, kwargs, output)


def _classes(names):
    """Those of them that this version of Keras has."""
    return {getattr(layers, name) for name in names.split() if hasattr(layers, name)}


RULES = {
    kind: rule
    for names, rule in (
        ("Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D", _convolution),
        ("Conv1DTranspose Conv2DTranspose Conv3DTranspose", _transposed),
        ("SeparableConv1D SeparableConv2D", _separable),
        ("Dense", _dense),
        ("EinsumDense", _einsum_dense),
        ("ReversibleEmbedding", _reversible_embedding),
        ("Dot", _dot),
        ("Attention", _attention),
        ("AdditiveAttention", _additive_attention),
        ("MultiHeadAttention", _multi_head_attention),
        ("GroupQueryAttention", _grouped_query_attention),
        ("SimpleRNN LSTM GRU RNN", _recurrent),
        ("SimpleRNNCell LSTMCell GRUCell StackedRNNCells", _cell),
        ("ConvLSTM1D ConvLSTM2D ConvLSTM3D", _recurrent_convolution),
        ("Bidirectional", _bidirectional),
        ("TimeDistributed", _time_distributed),
        ("SpectralNormalization", _wrapped),
    )
    for kind in _classes(names)
} | {WithoutActivation: _wrapped}

# Work on each number alone, only move numbers, or do nothing in inference.
ELEMENTWISE_LAYERS = _classes(
    "Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D "
    "AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add "
    "AlphaDropout AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D "
    "BatchNormalization CategoryEncoding CenterCrop Concatenate Cropping1D Cropping2D Cropping3D CutMix "
    "Discretization Dropout ELU Embedding Equalization Flatten GaussianDropout GaussianNoise "
    "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D "
    "GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization HashedCrossing Hashing Identity "
    "InputLayer IntegerLookup LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPooling1D "
    "MaxPooling2D MaxPooling3D Maximum Minimum MixUp Multiply Normalization PReLU Permute "
    "RMSNormalization RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter "
    "RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur "
    "RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation "
    "RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector "
    "Rescaling Reshape Resizing Softmax Solarization SpatialDropout1D SpatialDropout2D SpatialDropout3D "
    "StringLookup Subtract UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D "
    "ZeroPadding2D ZeroPadding3D"
) | {FadingShortcut, MovingStatistics, ClassLogits, LogitsOfProbabilities}

# Functions of `keras.ops` in a graph, by the names of their classes.
ELEMENTWISE_OPERATIONS = (
    "Abs Absolute AdaptiveAveragePool AdaptiveMaxPool Add All Amax Amin Any Append Arccos Arccosh "
    "Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Argsort Average AveragePool BatchNorm "
    "BroadcastTo Cast Ceil Celu Clip Concatenate Copy Cos Cosh Cumsum DepthToSpace Diagonal Divide "
    "DivideNoNan Elu Equal Erf Exp Exp2 ExpandDims Expm1 Flip Floor FloorDivide Full FullLike Gelu "
    "GetItem Glu Greater GreaterEqual HardShrink HardSigmoid HardSilu HardTanh LayerNorm LeakyRelu Less "
    "LessEqual Log Log10 Log1p Log2 LogSigmoid LogSoftmax LogicalAnd LogicalNot LogicalOr Logsumexp Max "
    "MaxPool Maximum Mean Median Min Minimum Mod Moments Moveaxis Multiply NanToNum Negative Normalize "
    "NotEqual OneHot OnesLike Pad Power Prod RMSNorm Ravel Reciprocal Relu Relu6 Repeat Reshape Resize "
    "Roll Round Rsqrt Select Selu Sigmoid Sign Silu Sin Sinh Slice SoftShrink Softmax Softplus Softsign "
    "SpaceToDepth Split Sqrt Square Squareplus Squeeze Stack Std StopGradient Subtract Sum Swapaxes "
    "Take TakeAlongAxis Tan Tanh TanhShrink Threshold Tile TopK Transpose Tril Triu TrueDivide Unstack "
    "Var Where ZerosLike"
)
