"""Usage: when policies were last used and what candidates would decide, read from each process of the decision point.

Standing: beside `policies`; it uses the client of `programmed`. Holds: it affects status alone.
"""
