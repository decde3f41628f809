"""The commands, one module a verb: `kubectl bailiwick VERB`.

Standing: under `verbs` and `main`, which register them, above everything else of the command line. Holds: a command
prints what it did, and ends with one of the exit codes of `errors`.
"""
