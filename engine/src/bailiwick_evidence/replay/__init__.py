"""Replay: what a recorded decision would have come to under other policies, by the engine that serves.

Holds: a record whose own policies do not reproduce it is no evidence; what is not on record is never taken to be
absent.
"""
