"""The blocks of a residual network, told without building it: what builders, reports and lesions go by."""

import dataclasses

from keras_kd.utils import limits
from keras_kd.utils.checks import is_whole


@dataclasses.dataclass(frozen=True)
class BlockSpec:
    """One block of a network.

    Attributes:
      name: `stage{i}_block{j}`, the prefix of its layers' names.
      unit: "basic", "bottleneck" or "preactivation".
      in_channels: channels of its input.
      channels: channels of its inner convolutions.
      out_channels: channels of its output.
      stride: 2 where it halves the image, else 1.
    """

    name: str
    unit: str
    in_channels: int
    channels: int
    out_channels: int
    stride: int

    @property
    def keeps_shape(self):
        """Whether input and output have one shape, so that the identity is a shortcut."""
        return self.stride == 1 and self.in_channels == self.out_channels


def cifar_plan(depth, width=16):
    """Depth 6n+2, three stages of n basic blocks. He et al. 2016, section 4.2."""
    n = _blocks_per_stage(depth, 2)
    width = limits.WIDTH.check("width", width)
    return _chain("basic", (n, n, n), width, [width, 2 * width, 4 * width])


def wide_plan(depth, widen):
    """Depth 6n+4, three stages of n pre-activation blocks. Zagoruyko & Komodakis 2016, table 1."""
    n = _blocks_per_stage(depth, 4)
    widen = limits.WIDTH.check("widen", widen)
    return _chain("preactivation", (n, n, n), 16, [16 * widen, 32 * widen, 64 * widen])


IMAGENET_STAGES = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}


def imagenet_plan(depth, width=64):
    """Depths 18 to 152, four stages. He et al. 2016, table 1."""
    if not is_whole(depth) or depth not in IMAGENET_STAGES:
        raise ValueError(f"depth must be one of {sorted(IMAGENET_STAGES)}. Received: depth={depth!r}")
    width = limits.WIDTH.check("width", width)
    unit, counts = IMAGENET_STAGES[depth]
    return _chain(unit, counts, width, [width * 2**stage for stage in range(4)])


FAMILIES = {"cifar": cifar_plan, "imagenet": imagenet_plan, "wide": wide_plan}


def block_plan(family, depth, **size):
    """The blocks of a network, in order, without building it.

    Args:
      family: "cifar", "imagenet" or "wide".
      depth: as for the family's builder.
      **size: `width` ("cifar", "imagenet") or `widen` ("wide").

    Returns:
      A tuple of `BlockSpec`.

    Raises:
      ValueError: for an unknown family, a depth that the family does not have, or too large a network.
    """
    limits.check_choice("family", family, FAMILIES)
    return FAMILIES[family](depth, **size)


def _blocks_per_stage(depth, rest):
    if not is_whole(depth) or depth < 6 + rest or (depth - rest) % 6:
        examples = ", ".join(str(6 * n + rest) for n in (1, 2, 3, 5, 9))
        raise ValueError(
            f"depth must be 6n+{rest} with n >= 1, such as {examples}. Received: depth={depth!r}"
        )
    return (limits.DEPTH.check("depth", depth) - rest) // 6


def _chain(unit, counts, in_channels, stage_channels):
    blocks = []
    for stage, (count, channels) in enumerate(zip(counts, stage_channels, strict=True), start=1):
        out_channels = 4 * channels if unit == "bottleneck" else channels
        for index in range(1, count + 1):
            stride = 2 if stage > 1 and index == 1 else 1
            name = f"stage{stage}_block{index}"
            blocks.append(BlockSpec(name, unit, in_channels, channels, out_channels, stride))
            in_channels = out_channels
    limits.check_parameters(f"a network of {len(blocks)} blocks, {in_channels} channels wide,", _size(blocks))
    return tuple(blocks)


def _size(blocks):
    """About how many parameters the convolutions of blocks have, and those of shortcuts."""
    found = 0
    for block in blocks:
        inner, outer = block.in_channels * block.channels, block.channels * block.out_channels
        if block.unit == "bottleneck":
            found += inner + 9 * block.channels**2 + outer
        else:
            found += 9 * (inner + outer)
        found += 0 if block.keeps_shape else block.in_channels * block.out_channels
    return found
