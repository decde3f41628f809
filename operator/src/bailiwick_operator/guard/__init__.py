"""The guards: proves that they are in force, records it, and makes void what was written while they were not.

Standing: beside `grants`. Holds: without a proof nothing is approved.
"""
