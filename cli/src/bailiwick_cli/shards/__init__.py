"""Shards of a log: what each of several processes writes of its chains, and how that is added up again.

Holds: the sum is, to the byte, what one process prints of all lines; what cannot be added up exactly is an error.
"""
