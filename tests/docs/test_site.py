"""The site has every page, every page is found, and the reference has every public name."""

import importlib
import inspect
import re

import pytest
import yaml

import keras_kd
from tests.support.processes import ROOT

DOCS = ROOT / "docs"
PAGES = {str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))}
SETTINGS = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
REFERENCE = "\n".join(text for name, text in PAGES.items() if name.startswith("reference/"))


def navigation(entries):
    for entry in entries:
        for target in entry.values():
            yield from navigation(target) if isinstance(target, list) else [target]


def test_the_navigation_has_each_page_once():
    assert sorted(navigation(SETTINGS["nav"])) == sorted(PAGES), "mend `nav` of mkdocs.yml"


def test_links_lead_to_pages_and_pictures_of_the_site():
    outside = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    sources = {path: path.read_text(encoding="utf-8") for path in outside}
    sources |= {DOCS / name: text for name, text in PAGES.items()}
    for path, text in sources.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            linked = (path.parent / target).resolve()
            assert linked.is_file(), f"{path}: {target}"
            assert path in outside or linked.is_relative_to(DOCS), f"{path}: {target} is elsewhere"


def test_search_needs_no_network():
    """Else Material takes the shim that pages on a disk need from one."""
    (shim,) = [name for name in SETTINGS["extra"]["polyfills"] if "iframe-worker" in name]
    assert "IFrameWorker" in (DOCS / shim).read_text(encoding="utf-8")


def test_pictures_are_shown_somewhere():
    text = "\n".join(PAGES.values()) + (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in (DOCS / "pictures").iterdir() if path.name not in text] == []


@pytest.mark.parametrize(
    "package",
    [
        *(name for name in keras_kd.__all__ if inspect.ismodule(getattr(keras_kd, name))),
        "analysis.landscape",
        "analysis.reuse",
        "data.augmentation",
        "distillation.shortcut_removal",
        "reporting.charts",
    ],
)
def test_the_reference_has_each_public_name(package):
    module = importlib.import_module(f"keras_kd.{package}")
    missing = []
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            entry = f"::: {value.__module__}.{value.__qualname__}"
            missing += [] if f"{entry}\n" in REFERENCE else [entry]
        elif not re.search(rf"`([a-z]+\.)?{name}`|\.{name}\b", REFERENCE):  # a constant or a sub-package
            missing.append(f"`{name}`")
    assert missing == [], f"add these lines to docs/reference/{package.split('.')[0]}.md"


def test_each_entry_of_the_reference_is_there_once():
    targets = re.findall(r"^::: (\S+)$", REFERENCE, re.M)
    assert len(targets) == len(set(targets)), "one is there twice"
    for target in targets:
        package, _, name = target.rpartition(".")
        assert hasattr(importlib.import_module(package), name), target
