"""What the Secret of the certificate authorities holds: one JSON list, so that it is replaced whole or not at all.

Holds: content of which any part cannot be read is unreadable as a whole, and what is wrong is said without a byte of
it; a key is stored beside the certificate that it fits.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bailiwick_operator.issuing import UnreadableError, read_authority
from bailiwick_operator.reconcile.certificates import Authority

AUTHORITIES_ENTRY: Final = "authorities.json"
MAX_AUTHORITIES: Final = 16


def read(data: Mapping[str, Any]) -> tuple[Authority, ...]:
    """Return the authorities of a Secret's `data`, which is base64. Raises `UnreadableError`."""
    try:
        listed = json.loads(base64.b64decode(data[AUTHORITIES_ENTRY], validate=True))
    except (KeyError, TypeError, binascii.Error, ValueError, RecursionError):
        # Without its cause, which would quote the content.
        raise UnreadableError(f"{AUTHORITIES_ENTRY} is not JSON") from None
    if not isinstance(listed, list) or not 0 < len(listed) <= MAX_AUTHORITIES:
        raise UnreadableError(f"{AUTHORITIES_ENTRY} is not a list of 1 to {MAX_AUTHORITIES} authorities")
    found = tuple(_read(index, entry) for index, entry in enumerate(listed))
    if len({authority.id for authority in found}) != len(found):
        raise UnreadableError(f"{AUTHORITIES_ENTRY} holds an authority twice")
    return found


def written(authorities: Iterable[Authority]) -> dict[str, str]:
    """Return the entry of a Secret's `data` that holds these authorities."""
    listed = [
        {
            "certificate": authority.certificate,
            "key": authority.key,
            "publishedTime": _stamp(authority.published),
            "untilTime": _stamp(authority.until),
        }
        for authority in authorities
    ]
    return {AUTHORITIES_ENTRY: base64.b64encode(json.dumps(listed, indent=1).encode()).decode()}


def moment(text: object) -> datetime | None:
    """Return an RFC 3339 time; None where it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _read(index: int, entry: object) -> Authority:
    where = f"{AUTHORITIES_ENTRY}[{index}]"
    if not isinstance(entry, dict):
        raise UnreadableError(f"{where} is not an object")
    certificate, key = entry.get("certificate"), entry.get("key")
    if not isinstance(certificate, str) or not (key is None or isinstance(key, str)):
        raise UnreadableError(f"{where} has no certificate, or a key that is no text")
    times = [_time(where, entry.get(name)) for name in ("publishedTime", "untilTime")]
    try:
        return read_authority(certificate, key, *times)
    except UnreadableError as error:
        raise UnreadableError(f"{where}: {error}") from None


def _time(where: str, value: object) -> datetime | None:
    if value is None:
        return None
    if (found := moment(value)) is None:
        raise UnreadableError(f"{where} has a time that is none")
    return found


def _stamp(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
