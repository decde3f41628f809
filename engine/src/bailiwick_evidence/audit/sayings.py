"""The claims of others about a chain, collected for its judgement.

Standing: above `claims`, under `judgement`; `logaudit` fills it. Holds: witnessed claims are separate from the others.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from bailiwick_evidence.audit.claims import HeadClaim, HeldCheckpoint, RootClaim


class OtherSayings(NamedTuple):
    """The claims of others about a chain. `contradictions`: notes for which a witness is said to have refused it.

    `roots`: the checkpoints that witnesses cosigned; `vouchers`: those by which the chain counts as seen, see
    `vouchers.vouchers`; `held`: checkpoints in lines of other chains. `heads`: lines of other chains that name a line
    of it; `fixed`: those of them that are witnessed. A claim that is not witnessed can only show that something was
    removed or changed.

    `asked`: a witness is known, and would have seen a chain that lasted long enough. `stranger`: a witness whose key
    was not given claims to have seen it. `quorum`: how many must have seen it. `newest`: the time of the newest
    cosignature or line of any chain, in seconds since the epoch. `clusters`: those whose keys cosigned the chain, if
    the keys name clusters.
    """

    roots: Sequence[RootClaim] = ()
    vouchers: Sequence[RootClaim] = ()
    held: Sequence[HeldCheckpoint] = ()
    heads: Sequence[HeadClaim] = ()
    fixed: Sequence[HeadClaim] = ()
    contradictions: Collection[str] = ()
    asked: bool = True
    stranger: str | None = None
    quorum: int = 1
    newest: float | None = None
    clusters: frozenset[str] = frozenset()
