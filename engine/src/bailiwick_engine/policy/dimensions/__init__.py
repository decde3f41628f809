"""Dimensions: the criteria by which a rule selects calls, a module each.

Standing: below `model`. `dimension` defines what each must have, `table` lists them. Holds: a field of a rule belongs
to one dimension, which compiles it, explains it, compares it, and says what it reads and what it costs. A limit
(intent, validity) is matched here too; the others are matched by `decision.match`, over the index.
"""
