"""Which checkpoints vouch for the lines of a chain, and which lines of other chains are witnessed themselves.

Standing: above `chaintable` and `claims`, under `judgement` and `removal`. Holds: a chain alone never vouches for
another chain. A checkpoint in it vouches for nothing unless a witness cosigned that checkpoint. If several witnesses
are required, that many must also have cosigned the line that contains the checkpoint.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bailiwick_evidence.audit.chaintable import ChainTable
from bailiwick_evidence.audit.claims import HeldCheckpoint, RootClaim, signed_by_process

LEDGER: Final = "operator"
"""The `component` that the first line of the operator's log names."""


def latest(claims: Iterable[RootClaim], quorum: int = 1) -> RootClaim | None:
    """Return the largest checkpoint that `quorum` witnesses have seen, the newest of equal ones; None: fewer saw it.

    Its time is the oldest of these witnesses' last cosignatures.
    """
    largest: dict[str, RootClaim] = {}
    for claim in claims:
        for name, time in claim.seen:
            mine = claim._replace(time=time)
            largest[name] = max(mine, largest.get(name, mine), key=_reach)
    ranked = sorted(largest.values(), key=_reach, reverse=True)[:quorum]
    return ranked[-1]._replace(time=min(one.time for one in ranked)) if len(ranked) == quorum else None


def known_until(claims: Iterable[RootClaim], quorum: int = 1) -> int | None:
    """Return when `quorum` witnesses saw a chain last, in seconds since the epoch, by times that have come.

    None: fewer saw it. A cosignature from the future does not say when it was made.
    """
    timed = (
        claim._replace(seen=tuple((name, time) for name, time in claim.seen if time or not claim.ahead))
        for claim in claims
    )
    found = latest(timed, quorum)
    return None if found is None else found.time


def witnessed_size(log: ChainTable, claims: Sequence[RootClaim], quorum: int = 1) -> int:
    """Return how many of the first lines of a chain are the ones that `quorum` witnesses cosigned.

    Call it before the chain is judged, while each line is still at the place at which it was read.
    """
    end = next((end for start, end in log.leaves.runs()[:1] if start == 0), 0)
    reached = [claim for claim in claims if claim.size <= end]
    made = log.leaves.roots(claim.size for claim in reached)
    found = latest((claim for claim in reached if made[claim.size] == claim.root), quorum)
    return 0 if found is None else found.size


def signed_by(key: str | None, notes: Iterable[str]) -> bool:
    """Tell whether the process with this key signed one of these. With an unknown key, that cannot be ruled out."""
    return key is None or any(signed_by_process(note, key) for note in notes)


def key_of(log: ChainTable) -> str | None:
    """Return the key in the first line of a chain, as a `vkey`; None if the line has no key, or is missing."""
    key = None if log.opening is None else log.opening.get("key")
    return key if isinstance(key, str) else None


def vouchers(
    log: ChainTable,
    roots: Sequence[RootClaim],
    held: Sequence[HeldCheckpoint],
    quorum: int,
    witnessed: Callable[[str, int], bool],
) -> list[RootClaim]:
    """Return the checkpoints by which a chain counts as seen, with the witnesses that saw it.

    `roots` are the checkpoints that witnesses cosigned, `held` those in lines of other chains. No witness outside the
    cluster polls the operator's own log. If a quorum is required, the decision points are its witnesses: each one whose
    line with the checkpoint is itself witnessed. `witnessed` tells that for a line by its chain and number.
    """
    if quorum == 1 or log.opening is None or log.opening.get("component") != LEDGER:
        return [*roots]
    key = key_of(log)
    return [
        RootClaim(one.chain, one.size, one.root, one.time, one.origin, (one.note,), seen=((one.by, one.time),))
        for one in held
        if one.time is not None and witnessed(one.by, one.seq) and signed_by(key, (one.note,))
    ]


def _reach(claim: RootClaim) -> tuple[int, int]:
    return claim.size, claim.time
