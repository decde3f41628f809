"""The report of a period for an auditor: what was decided, by which approvals, what was lost and what cannot be told.

Standing: under `audit report`. Holds: it stands on what `audit verify` says, and begins with it.
"""
