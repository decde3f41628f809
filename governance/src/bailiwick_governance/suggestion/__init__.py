"""Suggestions: what policies are used for, by a log, what would do for that, and whether it holds before it is shown.

Holds: nothing is applied; what is not known to be unused stays as it is; what widens anything, or turns a recorded
decision, is not shown but named.
"""
