"""Grants as the pages show them: whom each waits for, the ten things of one, and how both are read.

Standing: below `visits`. Holds: it shows what `list` and `show` show; what may not be read or is not known is said.
"""
