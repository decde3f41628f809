"""The kinds of lines in logs of decision points and operators.

Standing: under every room that reads logs. Holds: a kind that is not here was written by a newer version.
"""

from typing import Final

DECISIONS: Final = frozenset({"evaluation", "request"})
"""Records of decisions on one call."""
SEARCH: Final = "search"
POLICY_LIST: Final = "policies"
"""A list of policies, which later records name by its digest."""
OF_CHAINS: Final = frozenset({"open", "close", "ledger", "hash"})
"""Lines of a chain about itself."""
REVIEWERS: Final = "reviewers"
"""A file of reviewers' keys, by which signatures of reviews count from then on."""
OF_LEDGERS: Final = frozenset(
    {
        *("checkpoint", "policy", "mode", "grant", "revocation", "keys", "guard", "keep", "witness", "dropped"),
        REVIEWERS,
    }
)
"""Lines of an operator's ledger."""
SHADOW: Final = "shadow"
"""The decision that a candidate would have made on a call."""
HISTORY: Final = "history"
"""An event in the state of a history that no decision's record has."""
OUTCOME: Final = "outcome"
"""What became of a call that was let through, as its enforcer reported it."""
BESIDE_DECISIONS: Final = OF_CHAINS | OF_LEDGERS | {SHADOW, HISTORY, OUTCOME}
"""Lines that do not record a decision."""

_KIND: Final = b'"kind"'
_EVALUATION: Final = b'"kind":"evaluation"'
_ESCAPED: Final = rb"\u"


def is_plain_evaluation(line: bytes) -> bool:
    """Tell, without parsing it, that a line is an evaluation or of no kind. False: it must be parsed to know."""
    return line.count(_KIND) == 1 and _EVALUATION in line and _ESCAPED not in line


def may_have(line: bytes, *names: bytes) -> bool:
    """Tell, without parsing it, that a line may have a member of one of these names, given with their quotes.

    Names that escapes spell are names too: a line with an escape may have any.
    """
    return _ESCAPED in line or any(name in line for name in names)
