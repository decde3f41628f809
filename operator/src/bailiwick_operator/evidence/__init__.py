"""Evidence: the witness of every process's log, and the operator's own ledger.

Standing: beside `guard`. Holds: no decision, no approval and no status depends on anything here.
"""
