"""Usage of policies by a log: what was used when, and what a log cannot say.

Holds: nothing is decided here; a log that is not whole makes nothing unused.
"""
