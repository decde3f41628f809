"""CEL: conditions and variables, from text to a value, and what they may cost.

Standing: under `policy`. Holds: pure; only `expressions` knows the CEL library; what could take too long is refused
when it is compiled (`cost`), and does not run where the call at hand is too large for it.
"""
