"""Usage: which parts of policies let calls through, by the records of a log.

Holds: a part that may have been used never counts as unused.
"""
