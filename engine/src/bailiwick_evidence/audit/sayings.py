"""What others say of a chain, put together for its judgement.

Standing: above `claims`, under `judgement`; `logaudit` fills it. Holds: what is witnessed stands apart from the rest.
"""

from collections.abc import Sequence
from typing import NamedTuple

from bailiwick_evidence.audit.claims import HeadClaim, HeldCheckpoint, RootClaim


class OtherSayings(NamedTuple):
    """What others say of a chain. `contradiction`: a checkpoint for which the witness refused the chain.

    `roots`: what witnesses cosigned; `vouchers`: by which of it the chain counts as seen, see `vouchers.vouchers`;
    `held`: checkpoints in lines of other chains. `heads`: lines of others that name a line of it; `fixed`: those of
    them that are witnessed. What is not witnessed can show that something was removed or changed, and nothing else.

    `asked`: a witness is known, and would have seen a chain that lived long enough. `stranger`: a witness whose key was
    not given claims to have seen it. `quorum`: so many must have. `newest`: when the newest cosignature or line of any
    chain was made, in seconds since the epoch.
    """

    roots: Sequence[RootClaim] = ()
    vouchers: Sequence[RootClaim] = ()
    held: Sequence[HeldCheckpoint] = ()
    heads: Sequence[HeadClaim] = ()
    fixed: Sequence[HeadClaim] = ()
    contradiction: str | None = None
    asked: bool = True
    stranger: str | None = None
    quorum: int = 1
    newest: float | None = None
