"""The signer: what the HTTP room asks of our own keys, as they are at the moment.

Holds: without keys it issues nothing and takes nothing for proven, and without guards it vouches for no approval; a
token is named by its digest wherever it is written down, never by itself.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from bailiwick_api.voidgrants import NONE, VoidGrants
from bailiwick_engine.approval.binding import hash_of
from bailiwick_engine.approval.grants import Grant
from bailiwick_engine.call import Call, ShownApproval
from bailiwick_webhook.evaluation import ShownToken
from bailiwick_webhook.metrics.table import TokenProblem
from bailiwick_webhook.signing import approvaltoken, bindingtoken
from bailiwick_webhook.signing.approvaltoken import VerifiedApprovalToken
from bailiwick_webhook.signing.bindingtoken import Denial
from bailiwick_webhook.signing.keyring import NO_KEYS, Keyring


class Signer:
    """Issues and verifies both kinds of token. `now` is the time of day in seconds since the epoch.

    `guarded`: whether the guards are proven, so that what grants say is believed. `void`: of which it is not, by name.
    """

    def __init__(
        self,
        keyring: Callable[[], Keyring] = lambda: NO_KEYS,
        guarded: Callable[[], bool] = lambda: False,
        void: Callable[[], VoidGrants] = lambda: NONE,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keyring = keyring
        self._guarded = guarded
        self._void = void
        self._now = now

    def published(self) -> dict[str, Any] | None:
        """Return the JWK Set; None while it is not known."""
        return self._keyring().published(self._now())

    def approval(self, grant: Grant, base: str) -> str | None:
        """Return the approval token of a grant; None where there is nothing to sign, or nothing to sign with.

        Nor while the guards are not proven: a reader of the token alone would believe what this process does not.
        """
        if not self._guarded() or self._void().holds(grant.namespace, grant.uid):
            return None
        return approvaltoken.issue(self._keyring(), grant, base, self._now())

    def shown(
        self, grant_id: str, token: str | None, *, base: str, namespace: str
    ) -> tuple[ShownApproval, ShownToken | None]:
        """Return what is shown of an approval, for the engine and for the record."""
        if token is None:
            return ShownApproval(grant_id), None
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        found = approvaltoken.verify(self._keyring(), token, base=base, namespace=namespace, now=self._now())
        if isinstance(found, VerifiedApprovalToken) and found.jti == grant_id:
            return ShownApproval(grant_id, found.token), ShownToken(found.jti, digest)
        why = found if isinstance(found, TokenProblem) else TokenProblem.OTHER
        jti = found.jti if isinstance(found, VerifiedApprovalToken) else None
        return ShownApproval(grant_id, invalid=True), ShownToken(jti, digest, why.value)

    def denial(self, call: Call, digest: str, evaluation_id: str, ends: float, base: str) -> str | None:
        """Return the binding token of a denial about which can be asked until `ends`."""
        return bindingtoken.issue(
            self._keyring(),
            base=base,
            evaluation_id=evaluation_id,
            digest=digest,
            context=call.context,
            ends=ends,
            now=self._now(),
        )

    def denied(self, token: str, digest: str | None, base: str) -> Denial | TokenProblem:
        """Return which denial of this very request a binding token is of, or why it is of none.

        `digest` None: the request needs no approval any more, so that there is nothing to compare.
        """
        found = bindingtoken.verify(self._keyring(), token, base=base, now=self._now())
        if isinstance(found, Denial) and digest is not None and found.binding_hash != hash_of(digest):
            return TokenProblem.OTHER
        return found
