"""Replay of a log: candidates as they are read, what came of all records, what fails, and how it is printed.

Holds: nothing is decided here; how much of the log counts stands before what came of it.
"""
