"""What the augmentations of colours share."""

from keras import ops


def grey(pixels):
    """`[batch, height, width, 1]`: the brightness of RGB as ITU-R BT.601 has it, else the channels' mean."""
    if pixels.shape[-1] == 3:
        return ops.image.rgb_to_grayscale(pixels)
    return ops.mean(pixels, axis=-1, keepdims=True)


def grey_mean(pixels):
    """`[batch, 1, 1, 1]`: the mean of `grey`."""
    return ops.mean(grey(pixels), axis=(1, 2, 3), keepdims=True)


def blend(one, other, share):
    """`share` of `other` and the rest of `one`, in [0, 1]: 0 is `one`, 1 is `other`, more goes beyond it."""
    return ops.clip(one * (1.0 - share) + other * share, 0.0, 1.0)
