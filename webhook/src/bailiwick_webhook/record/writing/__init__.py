"""How lines come into the file of records: the writer on the loop, its thread, the chain and its checkpoints.

Standing: under `main`, above nothing of what a line says. Holds: a line stands whole and in order, or it is counted.
"""
