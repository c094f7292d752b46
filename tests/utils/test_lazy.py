"""Names of a package that are imported when first asked for."""

import sys

import pytest

from keras_kd.utils import lazy


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The name of a package with a module `colours`, one that is not exported, and one that is broken."""
    folder = tmp_path / "lazy_shop"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from keras_kd.utils import lazy\n"
        "__getattr__, __dir__, __all__ = lazy.attach(__name__, {'red': 'colours', 'colours': 'colours'})\n"
    )
    (folder / "colours.py").write_text("red = 3\n")
    (folder / "tools.py").write_text("hammer = 4\n")
    (folder / "broken.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "lazy_shop"
    for name in [name for name in sys.modules if name.startswith("lazy_shop")]:
        del sys.modules[name]


def test_names_are_found_and_listed(package):
    shop = __import__(package)
    assert (shop.red, shop.colours.red) == (3, 3)
    assert dir(shop) == shop.__all__ == ["colours", "red"]


def test_a_module_that_is_not_listed_is_found_by_its_path(package):
    assert __import__(package).tools.hammer == 4


def test_what_is_not_there_is_no_attribute(package):
    assert not hasattr(__import__(package), "blue")
    assert not hasattr(__import__(package), "__wrapped__")


def test_a_module_that_cannot_be_imported_says_why(package):
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        _ = __import__(package).broken


def test_a_package_names_itself_in_the_message():
    load, _, _ = lazy.attach("keras_kd.utils", {})
    with pytest.raises(AttributeError, match=r"module 'keras_kd.utils' has no attribute 'blue'"):
        load("blue")
