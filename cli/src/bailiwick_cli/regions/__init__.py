"""Regions: two states of an endpoint, compared over all calls at once, by the engine's own rules and its own `decide`.

Holds: pure. A call stands for all calls to which the same rules speak; what cannot be told is never said not to widen.
"""
