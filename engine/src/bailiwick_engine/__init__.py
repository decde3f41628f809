"""The decision itself: compile, match, decide, grants, binding, reasons.

Holds: pure. No I/O and no clock of its own; the same inputs give the same verdict in webhook, operator, CLI and tests.
"""
