"""What `--help` prints: all flags of a command, grouped, the common ones first."""

import ast
import importlib.util
import pathlib
import textwrap

from absl import flags

FLAGS = ("--help", "-h", "-help", "--helpshort", "--helpfull", "-?")

WIDTH = 110

_KINDS = {"IntegerParser": "N", "FloatParser": "X", "EnumParser": "NAME", "ListParser": "A,B,..."}


def of_all(commands):
    """All commands with the first line of their modules, which are not imported."""
    width = max(map(len, commands))
    lines = [f"  {name:<{width}}  {_first_line(name)}" for name in commands]
    return "\n".join(
        [
            "keras-kd COMMAND --flag=value ...: knowledge distillation seen through residual networks",
            "",
            *lines,
            "",
            "keras-kd COMMAND --help lists its flags. The same command goes on where a run was stopped.",
        ]
    )


def of_command(command, name, values):
    """The words of a command's module and its flags.

    Args:
      command: the module.
      name: what is typed to start it.
      values: its `absl.flags.FlagValues`.
    """
    takes = getattr(command, "ARGUMENTS", "")
    lines = [
        " ".join(filter(None, [name, takes, "--flag=value ..."])),
        "",
        command.__doc__.strip().splitlines()[0],
        "",
    ]
    for title, group in values.flags_by_module_dict().items():
        lines.append(f"{title}:")
        for flag in group:
            lines += _lines(flag)
    lines.append("--flagfile=PATH reads flags from a file, such as the flags.cfg of a run.")
    return "\n".join(lines)


def _lines(flag):
    kind = "" if flag.boolean else f"={_KINDS.get(type(flag.parser).__name__, 'TEXT')}"
    head = f"  --{'[no]' if flag.boolean else ''}{flag.name}{kind}"
    words = flag.help
    if isinstance(flag.parser, flags.EnumParser):
        words = f"{'|'.join(flag.parser.enum_values)}: {flag.help.partition('>: ')[2]}"
    if flag.value not in (None, "") and not flag.boolean:
        words += f" [{','.join(flag.value) if isinstance(flag.value, list) else flag.value}]"
    first, *rest = textwrap.wrap(words, WIDTH - 36) or [""]
    lines = [f"{head:<34}  {first}"] if len(head) <= 34 else [head, f"{'':<34}  {first}"]
    return lines + [f"{'':<34}  {line}" for line in rest]


def _first_line(name):
    spec = importlib.util.find_spec(f"keras_kd.cli.{name}")
    tree = ast.parse(pathlib.Path(spec.origin).read_text(encoding="utf-8"))
    return ast.get_docstring(tree).splitlines()[0]
