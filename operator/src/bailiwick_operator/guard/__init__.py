"""The guards: proven to be in force, recorded, and what was written while they were not is made void.

Standing: beside `grants`. Holds: without a proof nothing is approved.
"""
