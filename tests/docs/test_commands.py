"""Every command line of README.md and docs/ has flags that its command knows; nothing is run."""

import importlib
import re
import shlex

from absl import flags as absl_flags

from keras_kd.cli import main
from tests.support import snippets
from tests.support.processes import ROOT

START = re.compile(r"(?:^|/|\s)(?:keras-kd|python -m experiments\.(?!benchmarks|tutorials))\s*([a-z]+)\b(.*)")
BENCHMARK = re.compile(r"python -m experiments\.benchmarks\.([a-z_]+)\b(.*)")
TUTORIAL = re.compile(r"python -m experiments\.tutorials\.([a-z_]+)\b(.*)")
PACKAGES = (
    (START, "keras_kd.cli"),
    (BENCHMARK, "experiments.benchmarks"),
    (TUTORIAL, "experiments.tutorials"),
)
OPEN = re.compile(
    r"[A-Z]{2,}|=[A-Z]$|\.\.\.|\$"
)  # "FILE", "K", "..." and "$tuner" stand for what the reader has


def lines_of(path):
    """`[(line, text)]` of a page's commands, those over several lines as one."""
    for first, block in snippets.blocks(path, "console", "bash", "sh"):
        for number, line in enumerate(block.replace("\\\n", " ").splitlines()):
            yield first + number, line
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    text = re.sub(r"^ *```.*?^ *```$", lambda each: "\n" * each[0].count("\n"), text, flags=re.M | re.S)
    for code in re.finditer(r"`([^`]+)`", text):
        yield text.count("\n", 0, code.start()) + 1, " ".join(code[1].split())


def commands():
    """`[(place, module, flags)]`."""
    for path in snippets.PAGES:
        for number, line in lines_of(path):
            place = f"{path.relative_to(ROOT)}:{number}"
            for pattern, package in PACKAGES:
                for part in re.split(r"&&|;|\|", line):
                    found = pattern.search(part)
                    if found and found[1] not in ("name", "benchmarks", "tutorials"):
                        rest = shlex.split(found[2], comments=True)
                        yield place, f"{package}.{found[1]}", [each for each in rest if each.startswith("--")]


def flags_of(module):
    values = absl_flags.FlagValues()
    importlib.import_module(module).define_flags(values)
    absl_flags.DEFINE_bool("debug", False, "Of every command.", flag_values=values)
    return values


def is_command(module):
    package, _, name = module.rpartition(".")
    return package != "keras_kd.cli" or name in main.COMMANDS


def test_each_flag_is_known():
    found = list(commands())
    unknown = [f"{place}: {module}" for place, module, _ in found if not is_command(module)]
    for place, module, arguments in found:
        if is_command(module):
            values = flags_of(module)
            names = {argument.lstrip("-").partition("=")[0] for argument in arguments} - {"flagfile", "help"}
            known = set(values) | {f"no{name}" for name in values}
            unknown += [f"{place}: --{name}" for name in sorted(names - known)]
    assert unknown == []
    assert len(found) > 40


def test_each_value_is_one_that_the_flag_takes():
    """Of lines without anything that stands for what the reader has."""
    refused = []
    for place, module, arguments in commands():
        left_open = any(OPEN.search(each) or each.startswith("--flagfile") for each in arguments)
        if is_command(module) and not left_open:
            try:
                flags_of(module)([module, *(each for each in arguments if each != "--help")])
            except (absl_flags.Error, ValueError) as error:
                refused.append(f"{place}: {error}")
    assert refused == []
