"""What `export.json` says of a folder of exported files."""

import dataclasses

from keras_kd.export import formats, sources
from keras_kd.models import weights
from keras_kd.utils import files, records

MANIFEST = "export.json"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What `export.json` says of a folder of exported files.

    Attributes:
      model: path of the .keras file.
      run: folder of its run; None in folders of older versions.
      digest: of its weights.
      files: `formats.ExportedFile`s.
      class_names: of its outputs; empty in folders of older versions.
      accuracy: of the Keras model on all test images, in [0, 1]; None if it is not known.
      test_images: how many there are; None in folders of older versions.
      resizing: of images of other sizes, see `image_decoding.read`.
      identity: what its files are of, see `sources.identity`; None in folders of older versions.
    """

    model: str
    digest: str
    files: tuple[formats.ExportedFile, ...]
    run: str | None = None
    class_names: tuple[str, ...] = ()
    accuracy: float | None = None
    test_images: int | None = None
    resizing: str = "centre"
    identity: dict[str, str] | None = None

    def is_of(self, source):
        """Whether its files are of a `sources.Source`; of older ones it is known of those of a run alone."""
        if self.identity is None:
            return self.digest == weights.digest(source.network) and not source.comes_with_images
        return self.identity == sources.identity(source)

    def to_json(self):
        return records.json_values(self) | {"files": [each.to_json() for each in self.files]}

    @classmethod
    def from_json(cls, values):
        return records.from_json(cls, values)


def name_of(class_names, place):
    """What the output at a place means: the class, or "class 3" if nothing says its name."""
    return class_names[place] if place < len(class_names) else f"class {place}"


def read(folder):
    """The `Manifest` of an earlier export; None if there is none."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        with files.interpreting(path):
            return Manifest.from_json(files.read_json(path))
    except files.DamagedFileError as error:
        raise ValueError(
            f"{path} is damaged or of an older version: delete {folder}, and write it again"
        ) from error
