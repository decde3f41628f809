"""Data size: how many bytes an `EndpointData` takes once it was read, for the same ledger as policies.

Standing: beside `footprint`; decision point, operator and admission all ask here. Holds: pure and total, whatever the
spec is; it errs upwards, as `footprint` does.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from bailiwick_engine.budget.footprint import Footprint
from bailiwick_engine.budget.ledger import Claim

# Bytes, as measured with Python 3.11 on 64 bits: of an object, and of each value and name with what holds it.
_OBJECT: Final = 1_000
_VALUE: Final = 80
# Of a text that is not all ASCII, Python may take four bytes for each character.
_WIDE: Final = 4
_PREFIX: Final = "EndpointData/"
"""No policy's name holds a slash, so that one ledger can hold both kinds."""


def ledger_name(name: str) -> str:
    """Return by which name the budget ledger knows an object of data."""
    return f"{_PREFIX}{name}"


def data_name(known: str) -> str | None:
    """Return the object of data that the budget ledger knows by a name; None for a policy."""
    return known.removeprefix(_PREFIX) if known.startswith(_PREFIX) else None


def data_footprint(spec: object, text: bytes | None = None) -> Footprint:
    """Return what a spec comes to. It takes a millisecond at most where it keeps the limit of its size.

    `text`: the spec as JSON, where it is known.
    """
    try:
        raw = orjson.dumps(spec) if text is None else text
    except TypeError:
        # It cannot be read either, and nothing is kept of it.
        return Footprint(_OBJECT, 0)
    values = sum(map(raw.count, (b",", b":", b"[", b"{")))
    characters = len(raw) if raw.isascii() else _WIDE * len(raw)
    return Footprint(_OBJECT + characters + _VALUE * values, len(raw))


def data_claim(obj: Mapping[str, Any], text: bytes | None = None) -> Claim:
    """Return what a stored object asks for. `text`: its spec as JSON, where it is known."""
    metadata = obj["metadata"]
    created = metadata.get("creationTimestamp")
    return Claim(
        created if isinstance(created, str) else "",
        ledger_name(metadata["name"]),
        data_footprint(obj.get("spec"), text),
    )
