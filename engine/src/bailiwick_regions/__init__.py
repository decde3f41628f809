"""Regions: two states of an endpoint, compared over all calls at once, by the engine's own rules and its own `decide`.

Standing: above the engine and evidence; the command line and the decision point's admission use it. Holds: pure. A
call stands for all calls to which the same rules speak; what cannot be told is never said not to widen.
"""
