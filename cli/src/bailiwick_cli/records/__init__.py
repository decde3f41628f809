"""The decision log: its files, its witnesses, and its decisions derived again.

Standing: under the commands of `audit` and those that go by a log. Holds: a file is read as it is, and never changed.
"""
