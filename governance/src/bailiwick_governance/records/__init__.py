"""The decision log: its files, the keys of its witnesses, and its decisions derived again.

Standing: under all that goes by a log. Holds: a file is read as it is, and never changed.
"""
