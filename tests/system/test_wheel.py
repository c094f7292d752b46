"""The wheel holds the package with its templates and studies, nothing else, and starts from anywhere."""

import pathlib
import subprocess
import sys

import pytest

from tests.support.processes import ROOT, run_python


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """An empty folder into which the wheel was installed, alone."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    files = subprocess.run(
        ["git", "ls-files", "keras_kd", "setup.py", "pyproject.toml", "README.md", "experiments", "tests"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in files.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    quiet = ("--quiet", "--no-deps", "--disable-pip-version-check")
    for arguments in (
        ("wheel", *quiet, "--no-build-isolation", f"--wheel-dir={folder}", source),
        (
            "install",
            *quiet,
            "--no-index",
            f"--find-links={folder}",
            f"--target={folder / 'site'}",
            "keras_kd",
        ),
    ):
        subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, timeout=300)
    return folder / "site"


@pytest.mark.slow
def test_the_package_is_whole_and_alone(installed):
    names = {path.name.partition("-")[0] for path in installed.iterdir()}
    assert names == {"keras_kd", "bin"}

    def shipped(folder, suffixes):
        paths = pathlib.Path(folder, "keras_kd").rglob("*")
        return {str(path.relative_to(folder)) for path in paths if path.suffix in suffixes}

    kinds = {".css", ".gz", ".html", ".js", ".json", ".md", ".py", ".yaml"}
    assert shipped(installed, kinds) == shipped(ROOT, kinds)
    assert (installed / "bin" / "keras-kd").is_file()


@pytest.mark.slow
def test_the_command_starts_from_an_empty_folder(installed, tmp_path):
    for arguments in (("-m", "keras_kd.cli.main"), (installed / "bin" / "keras-kd",)):
        status, output, errors = run_python(*arguments, "--help", cwd=tmp_path, PYTHONPATH=str(installed))
        assert status == 0, errors
        assert "distill" in output
    status, output, errors = run_python(
        "-m", "keras_kd.cli.main", "distill", "--help", cwd=tmp_path, PYTHONPATH=str(installed)
    )
    assert status == 0, errors
    assert "--alpha_epochs" in output
