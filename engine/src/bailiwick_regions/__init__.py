"""Regions: a comparison of two states of an endpoint over all calls at once, with the engine's own rules and `decide`.

Standing: above the engine and evidence; the command line and the decision point's admission use it. `rights` says who
can do what. Holds: pure. One call stands for all calls to which the same rules apply. A change that cannot be compared
may widen.
"""
