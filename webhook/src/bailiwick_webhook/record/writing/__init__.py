"""How lines come into the file of records: the writer on the loop, its thread, the chain and its checkpoints.

Standing: `main` makes a writer, the pipeline hands it lines. Holds: a line stands whole and in order, or it is counted
as lost; what a line says is of no matter here.
"""
