"""The command line: flags, what is printed, and one file for each command.

`keras-kd NAME --flag=value` and `python -m experiments.NAME --flag=value` are the same. Nothing here is
imported by another room, and nothing heavy is imported before the flags are parsed.
"""
