"""The verbs of the command line: one dataclass each, whose fields are its flags and whose docstring is its help.

Standing: below `commands`, where each verb runs. Holds: all of it is on the way of `--help`, and imports nothing but
typer.
"""
