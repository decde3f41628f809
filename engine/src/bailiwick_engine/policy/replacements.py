"""Replacing: which candidates, policies with `replaces`, are evaluated in place of another, and messages for the rest.

Standing: lowest of its folder, for code that evaluates candidates or reports on them. Holds: which candidate replaces
which policy depends only on the names of one endpoint's policies, so that operator, decision point and command line
agree.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MOST_CANDIDATES: Final = 8
"""Candidates of one endpoint that are judged, the first by name: each is one more decision for every call."""
_LISTED: Final = 5


class Replacement(StrEnum):
    """How a candidate stands to the policy that it names; the reason of its condition."""

    IN_PLACE = "InPlace"
    NOT_FOUND = "ReplacedNotFound"
    OTHER_ENDPOINT = "ReplacedOnOtherEndpoint"
    """Reported only if the other endpoints are known; the candidate is treated as NOT_FOUND."""
    CANDIDATE = "ReplacedIsCandidate"
    CONTESTED = "SeveralCandidates"
    TOO_MANY = "TooManyCandidates"


def replaced_by(spec: object) -> str | None:
    """Return the policy that a spec, read or not, is a candidate for; None: it stands by itself."""
    return candidate_for(spec.get("mode"), spec.get("replaces")) if isinstance(spec, Mapping) else None


def candidate_for(mode: object, replaces: object) -> str | None:
    """Return the policy that one with these fields is a candidate for; None: it stands by itself."""
    return replaces if mode == "Audit" and isinstance(replaces, str) else None


def replacements(candidates: Mapping[str, str], others: Collection[str]) -> dict[str, Replacement]:
    """Return how each candidate of one endpoint stands. `candidates`: what each replaces, by its own name.

    `others` are the names of the endpoint's other policies. If several candidates name one policy, none replaces it:
    its records could not be attributed to one of them.
    """
    claimed: dict[str, int] = {}
    for replaced in candidates.values():
        claimed[replaced] = claimed.get(replaced, 0) + 1
    found: dict[str, Replacement] = {}
    judged = 0
    for name in sorted(candidates):
        replaced = candidates[name]
        if replaced in candidates:
            found[name] = Replacement.CANDIDATE
        elif replaced not in others:
            found[name] = Replacement.NOT_FOUND
        elif claimed[replaced] > 1:
            found[name] = Replacement.CONTESTED
        elif judged >= MOST_CANDIDATES:
            found[name] = Replacement.TOO_MANY
        else:
            found[name], judged = Replacement.IN_PLACE, judged + 1
    return found


@dataclass(frozen=True, slots=True)
class CandidateStanding:
    """The state of a candidate, and its message."""

    standing: Replacement
    message: str


def standings(
    endpoint: str, replaced: Mapping[str, str | None], elsewhere: Callable[[str], str | None]
) -> dict[str, CandidateStanding]:
    """Return how each candidate of an endpoint stands, by name. `replaced`: of each policy, what it replaces.

    `elsewhere` returns the endpoint of a policy of the namespace; None: there is no such policy.
    """
    candidates = {name: of for name, of in replaced.items() if of is not None}
    if not candidates:
        return {}
    found: dict[str, CandidateStanding] = {}
    for name, seen in replacements(candidates, replaced.keys() - candidates.keys()).items():
        of, standing, other = candidates[name], seen, ""
        if seen is Replacement.NOT_FOUND and (known := elsewhere(of)) not in {None, endpoint}:
            standing, other = Replacement.OTHER_ENDPOINT, known or ""
        rivals = {rival for rival, its in candidates.items() if its == of and rival != name}
        found[name] = CandidateStanding(standing, _standing_message(standing, endpoint, of, rivals, other))
    return found


def _standing_message(
    standing: Replacement, endpoint: str, replaced: str, rivals: Collection[str], elsewhere: str
) -> str:
    """Return the message for a candidate for this policy. `rivals`: the other candidates for it, by name.

    `elsewhere` is the endpoint of a policy of another one.
    """
    match standing:
        case Replacement.IN_PLACE:
            return (
                f"each call is decided once more, after its answer, with this policy in place of {replaced}; answers do"
                " not change"
            )
        case Replacement.NOT_FOUND:
            return f"{endpoint} has no policy {replaced}, so nothing is shadowed: name a policy of this endpoint"
        case Replacement.OTHER_ENDPOINT:
            return (
                f"{replaced} is a policy of {elsewhere}, so nothing is shadowed: a policy can replace only a policy of"
                f" its own endpoint, {endpoint}"
            )
        case Replacement.CANDIDATE:
            return f"{replaced} replaces a policy itself, so nothing is shadowed: name a policy that does not"
        case Replacement.CONTESTED:
            names = sorted(rivals)
            more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
            return (
                f"{replaced} is also replaced by {', '.join(names[:_LISTED])}{more}, so none of them is shadowed: keep"
                " one candidate for it"
            )
        case Replacement.TOO_MANY:
            return (
                f"{endpoint} has more than {MOST_CANDIDATES} candidates, and only the first by name are shadowed:"
                " delete those that you no longer need"
            )
