"""What a suggestion makes of rules without a use. Standing: under `proposals` and the flags of `suggest`.

Holds: this is on the way of `--help`, so it imports nothing of ours.
"""

from enum import StrEnum


class UnusedRules(StrEnum):
    """What becomes of a rule without a use: it goes, asks for an approval, or stays."""

    REMOVE = "remove"
    APPROVAL = "approval"
    KEEP = "keep"
