"""Cases of the guards of histories: who writes one, what of it stays, and who deletes it."""

from collections.abc import Callable
from typing import Any, Final

from bailiwick_api.accounts import CANARY_HISTORY
from bailiwick_api.manifests.historyguards import (
    CANARY_IS_NEVER_STORED,
    HISTORIES_ARE_THE_PDPS,
    HISTORY_DELETE,
    HISTORY_WRITE,
    ONLY_ENDED_HISTORIES_GO,
)
from support.guards.case import Case
from support.guards.ground import OPERATOR, PDP, ROBOT, Ask, Ground
from support.guards.open_cases import OWNER
from support.objects import OTHER_DIGEST, changed

_IMMUTABLE: Final = "endpoint and key of a history are immutable"
_NEVER_FALL: Final = "seq and clock of a history never fall"
_OWNERS: Final = "a history cannot have owner references or finalizers"
_LATER: Final = 1_764_439_300_000


def creating(who: str, name: str = "", **metadata: object) -> Callable[[Ground], Ask]:
    """Return the creation of a history by somebody."""

    def ask(ground: Ground) -> Ask:
        made = ground.history(name)
        return Ask(who, "create", changed(made, "metadata", {**made["metadata"], **metadata}))

    return ask


def writing(who: str, **spec: object) -> Callable[[Ground], Ask]:
    """Return a write of other fields to a history that the decision point has created."""
    return lambda ground: Ask(who, "merge", ground.counted(seq=7), {"spec": spec})


def marking(**metadata: Any) -> Callable[[Ground], Ask]:  # noqa: ANN401 - any field
    """Return a write of metadata by the decision point."""
    return lambda ground: Ask(PDP, "merge", ground.counted(), {"metadata": metadata})


def deleting(who: str) -> Callable[[Ground], Ask]:
    """Return the deletion of a history by somebody."""
    return lambda ground: Ask(who, "delete", ground.counted())


OTHERS: Final = ("carol", "admin", ROBOT, OPERATOR)
CASES: Final = (
    *(Case(HISTORY_WRITE, HISTORIES_ARE_THE_PDPS, f"created by {who}", creating(who), creating(PDP)) for who in OTHERS),
    *(
        Case(
            HISTORY_WRITE,
            HISTORIES_ARE_THE_PDPS,
            f"counted further by {who}",
            writing(who, seq=8, clock=_LATER),
            writing(PDP, seq=8, clock=_LATER),
        )
        for who in OTHERS
    ),
    Case(
        HISTORY_WRITE,
        HISTORIES_ARE_THE_PDPS,
        "labelled by an administrator",
        lambda g: Ask("admin", "merge", g.counted(), {"metadata": {"labels": {"team": "crm"}}}),
        marking(labels={"team": "crm"}),
    ),
    Case(HISTORY_WRITE, _OWNERS, "born with an owner", creating(PDP, ownerReferences=[OWNER]), creating(PDP)),
    Case(
        HISTORY_WRITE,
        _OWNERS,
        "born with a finalizer",
        creating(PDP, finalizers=["bailiwick.dev/hold"]),
        creating(PDP, annotations={"note": "none"}),
    ),
    Case(HISTORY_WRITE, _OWNERS, "given an owner", marking(ownerReferences=[OWNER]), marking(labels={"team": "crm"})),
    Case(HISTORY_WRITE, _OWNERS, "given a finalizer", marking(finalizers=["bailiwick.dev/hold"]), marking(labels={})),
    Case(HISTORY_WRITE, _IMMUTABLE, "given to another endpoint", writing(PDP, endpoint="other"), writing(PDP, seq=8)),
    Case(HISTORY_WRITE, _IMMUTABLE, "given to another key", writing(PDP, key=OTHER_DIGEST), writing(PDP, seq=8)),
    Case(HISTORY_WRITE, _NEVER_FALL, "with a lower number", writing(PDP, seq=6), writing(PDP, seq=7)),
    Case(
        HISTORY_WRITE,
        _NEVER_FALL,
        "with an earlier clock",
        writing(PDP, seq=8, clock=_LATER - 100_001),
        writing(PDP, seq=8, clock=_LATER - 100_000),
    ),
    *(
        Case(HISTORY_DELETE, ONLY_ENDED_HISTORIES_GO, f"deleted by {who}", deleting(who), deleting(OPERATOR))
        for who in ("eve", "admin", ROBOT, PDP)
    ),
    *(
        Case(
            HISTORY_DELETE,
            CANARY_IS_NEVER_STORED,
            f"the canary by {who}",
            creating(who, CANARY_HISTORY),
            creating(PDP, f"{CANARY_HISTORY}-{number}"),
        )
        for number, who in enumerate((OPERATOR, PDP))
    ),
)
