"""Several ways at once: "fade+blockwise" lets shortcuts fade while each block is pulled to the twin's."""

import dataclasses
import itertools

from keras_kd.distillation.shortcut_removal.base import ShortcutRemoval

# Both say when shortcuts close; or branches would change what the trained teacher computes.
_EXCLUSIVE = ({"fade", "layerwise"}, {"layerwise", "merge"})


@dataclasses.dataclass(frozen=True)
class Combined(ShortcutRemoval):
    """What each part puts into the network is put in, and what each asks of the student is asked.

    Attributes:
      parts: two or more of `REMOVALS`, in its order, each once.

    Raises:
      ValueError: for parts that exclude each other.
    """

    parts: tuple[ShortcutRemoval, ...]

    def __post_init__(self):
        names = [part.name for part in self.parts]
        for pair in itertools.combinations(names, 2):
            if set(pair) in _EXCLUSIVE or len(set(pair)) < 2 or "none" in pair:
                raise ValueError(f"{pair[0]!r} and {pair[1]!r} cannot be combined. Received: {self.name!r}")

    @property
    def name(self):
        return "+".join(part.name for part in self.parts)

    @property
    def trains_another(self):
        return any(part.trains_another for part in self.parts)

    @property
    def changes_function(self):
        return any(part.changes_function for part in self.parts)

    @property
    def needs_teacher(self):
        return any(part.needs_teacher for part in self.parts)

    @property
    def compares_classes(self):
        return any(part.compares_classes for part in self.parts)

    def start(self, student, steps, teacher=None):
        network = student
        for part in self.parts:
            if part.trains_another:
                network = part.start(network, steps, teacher)
            else:
                part.start(student, steps, teacher)  # says what is wrong
        return network

    def finish(self, network, student):
        for part in self.parts:
            part.finish(network, student)

    def terms(self, network, teacher, steps):
        return [term for part in self.parts for term in part.terms(network, teacher, steps)]
