"""Policy: what a decision reads, frozen: compiled policies, indexed by endpoint, in one snapshot.

Standing: under `compile`, which makes it, and `decision`, which reads it. Holds: immutable.
"""
