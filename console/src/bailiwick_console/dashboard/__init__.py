"""The overview: what waits, what was decided and how it stands, in figures that other pages explain.

Standing: above `endpoints` and `records`. Holds: nothing is guessed; what cannot be read is said not to be known.
"""
