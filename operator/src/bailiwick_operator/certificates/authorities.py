"""What the Secret of the CAs holds: one JSON list, so that it is replaced whole or not at all.

Holds: content of which any part cannot be read is unreadable as a whole, and what is wrong is said without a byte of
it; a key is stored beside the certificate that it fits.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bailiwick_api import secretlist
from bailiwick_api.secretlist import UnreadableListError
from bailiwick_api.times import stamp
from bailiwick_operator.certificates.issuer import UnreadableError, read_authority
from bailiwick_operator.reconcile.certificates import Authority

AUTHORITIES_ENTRY: Final = "authorities.json"


def read(data: Mapping[str, Any]) -> tuple[Authority, ...]:
    """Return the CAs of a Secret's `data`, which is base64. Raises `UnreadableListError`."""
    listed = secretlist.read_list(data, AUTHORITIES_ENTRY, "authorities")
    found = tuple(_read(index, each) for index, each in enumerate(listed))
    if len({authority.id for authority in found}) != len(found):
        raise UnreadableListError(f"{AUTHORITIES_ENTRY} lists an authority twice")
    return found


def written(authorities: Iterable[Authority]) -> dict[str, str]:
    """Return the entry of a Secret's `data` that holds these authorities."""
    listed = [
        {
            "certificate": authority.certificate,
            "key": authority.key,
            "publishedTime": None if authority.published is None else stamp(authority.published),
            "untilTime": None if authority.until is None else stamp(authority.until),
        }
        for authority in authorities
    ]
    return secretlist.secret_entry(AUTHORITIES_ENTRY, listed)


def _read(index: int, entry: Mapping[str, Any]) -> Authority:
    where = secretlist.place(AUTHORITIES_ENTRY, index)
    certificate, key = entry.get("certificate"), entry.get("key")
    if not isinstance(certificate, str) or not (key is None or isinstance(key, str)):
        raise UnreadableListError(f"{where} has no certificate, or its key is not text")
    published, until = (
        None if (value := entry.get(name)) is None else secretlist.time(AUTHORITIES_ENTRY, index, value)
        for name in ("publishedTime", "untilTime")
    )
    try:
        return read_authority(certificate, key, published, until)
    except UnreadableError as error:
        raise UnreadableListError(f"{where}: {error}") from None
