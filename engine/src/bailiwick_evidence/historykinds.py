"""What a history counts, as far as rooms of evidence have to know.

Standing: under `audit` and `replay`. Holds: pure; a kind that is not known here is taken for one that counts otherwise.
"""

from bailiwick_engine.policy.histories import CompiledHistory


def counts_at_once(history: CompiledHistory) -> bool:
    """Tell whether a call is counted when it is let through, whatever lets it through and whatever becomes of it."""
    return history.what == "Allowed" and not history.ignores_approved
