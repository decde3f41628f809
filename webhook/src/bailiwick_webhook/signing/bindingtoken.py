"""The binding token: which denial it is that an approval is asked for, signed (AuthZEN ARAP `binding_token`).

Holds: it opens nothing: what is asked for is decided again; it only shows that the denial was ours and was of this very
request. Verifying never raises, whatever the text.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from bailiwick_api.times import epoch_stamp
from bailiwick_engine.approval.binding import ARGS, ARGS_DIGEST, hash_of
from bailiwick_engine.call import Json
from bailiwick_webhook.metrics.table import TokenProblem
from bailiwick_webhook.signing.jose import proven, signed
from bailiwick_webhook.signing.keyring import Keyring

TYPE: Final = "binding+jwt"


class Denial(msgspec.Struct, frozen=True):
    """What a binding token says."""

    jti: str
    evaluation_id: str
    binding_hash: str


def issue(
    keyring: Keyring,
    *,
    base: str,
    evaluation_id: str,
    digest: str,
    context: Mapping[str, Json],
    ends: float,
    now: float,
) -> str | None:
    """Return the token of a denial that was given `now`, about which can be asked until `ends`; None: no key signs.

    `digest` is the engine's, of the denied request with this context.
    """
    claims = {
        "iss": base,
        "aud": base,
        "iat": int(now),
        "exp": int(ends),
        "jti": evaluation_id,
        "denial_expires_at": epoch_stamp(ends),
        "binding_context_members": sorted({ARGS_DIGEST if name == ARGS else name for name in context}),
        "evaluation_id": evaluation_id,
        "binding_hash": hash_of(digest),
    }
    return signed(keyring, TYPE, claims, now)


def verify(keyring: Keyring, token: str, *, base: str, now: float) -> Denial | TokenProblem:
    """Return which denial of the endpoint at `base` it was, or why the token proves nothing."""
    found = proven(keyring, TYPE, token, base, now)
    if isinstance(found, TokenProblem):
        return found
    try:
        return msgspec.convert(found, Denial)
    except msgspec.ValidationError:
        return TokenProblem.CLAIMS
