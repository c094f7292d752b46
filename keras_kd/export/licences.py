"""The licences of well-known datasets, as those who made them say; what is not here is not known."""

from keras_kd.data import datasets

LICENCES = {
    "beans": "MIT",
    "cifar10": "none stated by its authors, who ask to be cited",
    "cifar100": "none stated by its authors, who ask to be cited",
    "digits": "Creative Commons Attribution 4.0 (UCI, Optical Recognition of Handwritten Digits)",
    "fashion_mnist": "MIT (Zalando)",
    "imagenet2012": "non-commercial research and education alone",
    "mnist": "Creative Commons Attribution-ShareAlike 3.0",
    "oxford_iiit_pet": "Creative Commons Attribution-ShareAlike 4.0",
    "svhn_cropped": "non-commercial use alone",
}


def licence_of(name):
    """The licence of a dataset by its name, such as "cifar10"; None if it is not known, or for own files."""
    is_public = name == datasets.DEFAULT or datasets.is_of_tfds(name)
    return LICENCES.get(str(name).partition(":")[0].partition("/")[0]) if is_public else None
