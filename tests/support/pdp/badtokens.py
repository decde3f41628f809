"""Tokens that no API server would issue: expired ones, tampered ones, unsigned ones.

Holds: signed with the cluster's own key and like its own tokens in all but what a test changes, so that a refusal has
no other reason.
"""

import base64
import json
import time
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token."""
    header, claims, _ = token.split(".")
    return _decoded(header), _decoded(claims)


def signed(key: Path, like: str, **claims: object) -> str:
    """Return a token like this one with other claims, signed with the key of the cluster."""
    header, own = parts_of(like)
    return jwt.encode(header, {**own, **claims}, RSAKey.import_key(key.read_bytes()), algorithms=["RS256"])


def ended(key: Path, like: str) -> str:
    """Return a token like this one that ended a minute ago."""
    now = int(time.time())
    return signed(key, like, iat=now - 3600, nbf=now - 3600, exp=now - 60)


def tampered(token: str, **claims: object) -> str:
    """Return a token with other claims under the old signature."""
    header, _, signature = token.split(".")
    return f"{header}.{_encoded(parts_of(token)[1] | claims)}.{signature}"


def unsigned(token: str) -> str:
    """Return a token that says it needs no signature."""
    header, claims = parts_of(token)
    return f"{_encoded({**header, 'alg': 'none'})}.{_encoded(claims)}."


def _decoded(part: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
