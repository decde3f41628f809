"""Usage of policies by a log: what was used when, the file that remembers it, and how it is printed.

Holds: nothing is decided here; a log that is not whole makes nothing unused.
"""
