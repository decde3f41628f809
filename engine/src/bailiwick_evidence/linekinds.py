"""The kinds of lines in logs of decision points and operators.

Standing: under every room that reads logs. Holds: a kind that is not here was written by a version that knows more.
"""

from typing import Final

DECISIONS: Final = frozenset({"evaluation", "request"})
"""Records of decisions on one call."""
SEARCH: Final = "search"
POLICY_LIST: Final = "policies"
"""A list of policies, which later records name by its digest."""
OF_CHAINS: Final = frozenset({"open", "close", "ledger", "hash"})
"""What a chain says of itself."""
OF_LEDGERS: Final = frozenset({"checkpoint", "policy", "mode", "grant", "keys", "guard", "witness", "dropped"})
"""What an operator says in its ledger."""
SHADOW: Final = "shadow"
"""What a candidate would have made of a call."""
BESIDE_DECISIONS: Final = OF_CHAINS | OF_LEDGERS | {SHADOW}
"""Lines that say nothing of a decision that was made."""
