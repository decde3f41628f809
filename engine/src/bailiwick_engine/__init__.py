"""The engine: policies and grants in, verdicts out.

Rooms, from below: `approval`, `cel`, `policy`, `budget`, `compile`, `decision`; what stands beside them is vocabulary.

Holds: pure. No I/O and no clock of its own; the same inputs give the same verdict in webhook, operator, CLI and tests.
"""
