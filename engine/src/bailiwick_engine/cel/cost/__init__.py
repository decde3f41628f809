"""Cost: what an expression takes at most, by the sizes of what it reads.

Standing: under the rest of `cel`, above `tree`. Holds: pure; a function that is not listed here is not offered.
"""
