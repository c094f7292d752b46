"""Images mixed with other training images, and their labels likewise."""

import abc
import dataclasses
from typing import ClassVar

import numpy as np

from keras_kd.data.augmentation.base import Augmentation, spec_of
from keras_kd.utils import limits

PARTNER = "partner"


@dataclasses.dataclass(frozen=True)
class Mixing(abc.ABC):
    """A way to mix an image with another one.

    A subclass is a frozen dataclass; its dataclass fields are its options.

    Attributes:
      name: what specs call it.
      fields: `{field: dtype}` of its parameters; "weight" is the share that the image has of the label, the
        partner has the rest.
    """

    name: ClassVar[str]
    fields: ClassVar[dict[str, str]]

    @abc.abstractmethod
    def sample(self, rng, count, image_shape):
        """As `Augmentation.sample`."""

    @abc.abstractmethod
    def mix(self, images, partners, params):
        """Mixes two batches.

        Args:
          images, partners: float32 `[batch, height, width, channels]`.
          params: `{field: [batch]}`, as `sample` draws them.

        Returns:
          Likewise.
        """

    def neutral(self, count):
        """`{field: array [count]}`, the parameters under which images stay as they are."""
        zeros = {field: np.zeros(count, dtype) for field, dtype in self.fields.items()}
        return zeros | {"weight": np.ones(count, np.float32)}


@dataclasses.dataclass(frozen=True)
class Mixed(Augmentation):
    """An augmentation, after which each image is mixed with another one of the same view.

    Parameters: those of `base`; `partner`: the index of another training example (now and then the same);
    `partner_FIELD`: what `base` does to that one; `MIXING_FIELD` for each mixing.

    Attributes:
      base: an `Augmentation`.
      mixings: `Mixing`s, one or more; of several, each image has one, all equally often.
    """

    base: Augmentation
    mixings: tuple[Mixing, ...]

    name = "mixed"
    mixes = True

    def __post_init__(self):
        limits.check_each_once("augmentation", [each.name for each in self.mixings])

    @property
    def spec(self):
        own = [] if self.base.name == "none" else [self.base.spec]
        return "+".join([*own, *map(spec_of, self.mixings)])

    @property
    def fields(self):
        own = self.base.fields
        of_partner = {PARTNER: "int32"} | {f"{PARTNER}_{field}": dtype for field, dtype in own.items()}
        mixing = [(f"{m.name}_{field}", dtype) for m in self.mixings for field, dtype in m.fields.items()]
        return own | of_partner | dict(mixing)

    def sample(self, rng, count, image_shape):
        own = self.base.sample(rng, count, image_shape)
        partner = rng.permutation(count).astype(np.int32)
        chosen = rng.integers(0, len(self.mixings), count)
        params = self._with_partner(own, partner)
        for place, mixing in enumerate(self.mixings):
            drawn, neutral = mixing.sample(rng, count, image_shape), mixing.neutral(count)
            for field in mixing.fields:
                params[f"{mixing.name}_{field}"] = np.where(chosen == place, drawn[field], neutral[field])
        return params

    def neutral(self, count):
        params = self._with_partner(self.base.neutral(count), np.zeros(count, np.int32))
        for mixing in self.mixings:
            params |= {f"{mixing.name}_{field}": values for field, values in mixing.neutral(count).items()}
        return params

    def _with_partner(self, own, partner):
        of_partner = {f"{PARTNER}_{field}": values[partner] for field, values in own.items()}
        return {**own, PARTNER: partner, **of_partner}

    def transform(self, pixels, params, mean):
        """Raises a TypeError: partners are needed."""
        raise TypeError(f"{self.spec!r} mixes images with others: use fetch_and_apply")

    def fetch_and_apply(self, fetch, index, params, mean, std):
        of_partner = {field: params[f"{PARTNER}_{field}"] for field in self.base.fields}
        images = self.base.fetch_and_apply(fetch, index, params, mean, std)
        partners = self.base.fetch_and_apply(fetch, params[PARTNER], of_partner, mean, std)
        for mixing in self.mixings:
            own = {field: params[f"{mixing.name}_{field}"] for field in mixing.fields}
            images = mixing.mix(images, partners, own)
        return images

    def mix_labels(self, fetch, index, params):
        weight = 1.0
        for mixing in self.mixings:  # all but one are 1
            weight = weight * params[f"{mixing.name}_weight"][:, None]
        return weight * fetch(index) + (1.0 - weight) * fetch(params[PARTNER])
