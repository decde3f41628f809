"""The report of a period for an auditor: what was decided, by which approvals, what was lost and what is not known.

Standing: under `audit report`. Holds: it stands on what `audit verify` says, and begins with it.
"""
