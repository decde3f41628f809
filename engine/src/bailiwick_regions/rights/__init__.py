"""Rights: who may do something, and what somebody may do, as the engine's own `decide` says in every world.

Holds: pure. A call stands for all calls to which the same rules speak; what was not looked at is named.
"""
