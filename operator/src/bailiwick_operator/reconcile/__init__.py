"""The operator's rules: `(object, observed, now) -> status`, for each kind and for the guard.

Holds: pure. No I/O and no clock; the same inputs give the same status, and a status fed back in comes out unchanged.
"""
