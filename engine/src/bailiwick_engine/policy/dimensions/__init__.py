"""Dimensions: the things by which a rule says of which calls it speaks, a module each.

Standing: below `model`. `dimension` says what each must know, `table` lists them. Holds: a field of a rule belongs to
one dimension, which compiles it, matches it, explains it, compares it, says what it reads and what it costs.
"""
