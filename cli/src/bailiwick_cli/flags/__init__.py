"""The arguments of the commands, one dataclass a command.

Standing: below the verbs that register them. Holds: this is on the way of `--help`, so it imports nothing but typer.
"""
