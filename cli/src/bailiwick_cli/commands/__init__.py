"""The commands, one module a verb: `kubectl bailiwick VERB`.

Standing: under `main`, which registers them, above everything else of the command line. Holds: a command prints what it
did, and ends with one of the exit codes of `errors`.
"""
