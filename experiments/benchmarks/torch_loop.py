"""PyTorch's plain distillation loop on the networks of `keras_kd`, for comparison.

A network is built once more in PyTorch, layer by layer, with the same weights.
"""

import itertools

import keras
import torch
from torch import nn
from torch.nn import functional


class Rebuilt(nn.Module):
    """A network of `keras_kd.models` as a PyTorch module, from `[batch, channels, height, width]` to logits.

    Args:
      model: a functional `keras.Model`.

    Raises:
      ValueError: for a layer that those networks do not have.
    """

    def __init__(self, model):
        super().__init__()
        self._modules_by_name = nn.ModuleDict()
        self._wiring, names = [], {id(model.input): "image"}
        for operation in model.operations:
            if isinstance(operation, keras.layers.InputLayer):
                continue
            sources = [names[id(source)] for source in keras.tree.flatten(operation.input)]
            names[id(operation.output)] = operation.name
            self._modules_by_name[operation.name] = _rebuilt(operation)
            self._wiring.append((operation.name, sources))

    def forward(self, images):
        values = {"image": images}
        for name, sources in self._wiring:
            values[name] = self._modules_by_name[name](*(values[source] for source in sources))
        return values[name]


class Function(nn.Module):
    """A function without weights."""

    def __init__(self, function):
        super().__init__()
        self.forward = function


def _rebuilt(layer):
    kind = type(layer).__name__
    if kind not in _REBUILDERS:
        raise ValueError(f"cannot rebuild a layer of the type {kind}. Received: {layer.name!r}")
    return _REBUILDERS[kind](layer)


def _conv(layer):
    """Keras's "same" puts the odd row and column of a stride below and right."""
    kernel = torch.tensor(keras.ops.convert_to_numpy(layer.kernel)).permute(3, 2, 0, 1)
    (size, _), (stride, _) = layer.kernel_size, layer.strides
    conv = nn.Conv2d(*kernel.shape[1::-1], size, stride, 0 if stride > 1 else size // 2, bias=False)
    conv.weight.data.copy_(kernel)
    if stride == 1 or size == 1:
        return conv
    return nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), conv)


def _batch_norm(layer):
    norm = nn.BatchNorm2d(layer.gamma.shape[0], eps=layer.epsilon, momentum=1 - layer.momentum)
    for name, weight in (
        ("weight", layer.gamma),
        ("bias", layer.beta),
        ("running_mean", layer.moving_mean),
        ("running_var", layer.moving_variance),
    ):
        getattr(norm, name).data.copy_(torch.tensor(keras.ops.convert_to_numpy(weight)))
    return norm


def _dense(layer):
    kernel, bias = (torch.tensor(keras.ops.convert_to_numpy(weight)) for weight in (layer.kernel, layer.bias))
    linear = nn.Linear(*kernel.shape)
    linear.weight.data.copy_(kernel.T)
    linear.bias.data.copy_(bias)
    return linear


def _subsample(layer):
    (stride, _) = layer.strides
    return Function(lambda x: x[:, :, ::stride, ::stride])


def _pad(operation):
    missing = operation.pad_width[3][1]
    return Function(lambda x: functional.pad(x, (0, 0, 0, 0, 0, missing)))


_REBUILDERS = {
    "Conv2D": _conv,
    "BatchNormalization": _batch_norm,
    "ReLU": lambda layer: nn.ReLU(),
    "Add": lambda layer: Function(torch.add),
    "AveragePooling2D": _subsample,
    "Pad": _pad,
    "GlobalAveragePooling2D": lambda layer: Function(lambda x: x.mean((2, 3))),
    "Dense": _dense,
}


def run(contender, temperature, alpha):
    """Trains the contender's student for ever, a step for each of its turns.

    Args:
      contender: an `experiments.benchmarks.contenders.Contender`.
      temperature, alpha: as for `keras_kd.Distiller`.
    """
    dataset, plan, turns = contender.dataset, contender.plan, contender.turns
    device = "cuda" if torch.cuda.is_available() else "cpu"
    teacher, student = (
        Rebuilt(contender.size.network(role)).to(device, memory_format=torch.channels_last)
        for role in ("teacher", "student")
    )
    teacher.eval()
    optimizer = torch.optim.SGD(student.parameters(), lr=1e-5, momentum=0.9, nesterov=True)
    labels = torch.tensor(dataset.train.labels, device=device)
    for number in itertools.count():
        epoch = plan.epoch(number)
        for step, index in enumerate(epoch.index):
            turns.begin()
            params = {field: values[step] for field, values in epoch.params.items()}
            images = plan.augmentation.apply(dataset.train.images[index], params, dataset.mean, dataset.std)
            images = images.to(device).permute(0, 3, 1, 2)  # channels last in memory
            with torch.no_grad():
                guidance = functional.log_softmax(teacher(images) / temperature, dim=1)
            logits = student(images)
            soft = functional.kl_div(
                functional.log_softmax(logits / temperature, dim=1),
                guidance,
                reduction="batchmean",
                log_target=True,
            )
            hard = functional.cross_entropy(logits, labels[index])
            loss = (1 - alpha) * hard + alpha * temperature**2 * soft
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss.item()  # waits for the device
            turns.end()
