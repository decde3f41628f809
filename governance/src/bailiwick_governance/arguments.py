"""Reading what a person types: durations, `sa:ns/name`, `TYPE/ID`, `name=value`.

Holds: what cannot be read is a `UserError` that says how it is written; nothing is guessed.
"""

import json
import re
import time
from collections.abc import Iterable
from typing import Any, Final

from bailiwick_api import times
from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX, ServiceAccountName
from bailiwick_governance.errors import UserError

STDIN: Final = "-"
"""What stands for standard input where a file is named."""
_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[dhms])")


def seconds(text: str, flag: str) -> float:
    """Read a duration as kubectl does (90s, 10m, 1h30m; a number alone is seconds)."""
    found = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else _with_units(text)
    if found is None:
        raise UserError(f"{flag}: {text!r} is not a duration: write it as 90s, 10m or 1h30m")
    return found


def instant(text: str, flag: str) -> float:
    """Read a time in RFC 3339, or a day. Returns seconds since the epoch."""
    found = _instant(text)
    if found is None:
        raise UserError(f"{flag}: {text!r} is not a time: write it as 2027-03-01 or 2027-03-01T12:00:00Z")
    return found


def moment(text: str, flag: str) -> float:
    """Read a time in RFC 3339, a day, or how long ago it was, with a unit. Returns seconds since the epoch.

    A number alone may be meant as seconds since the epoch, as seconds ago or as a year, so it is none.
    """
    found = _instant(text)
    if found is not None:
        return found
    ago = _with_units(text)
    if ago is None:
        raise UserError(f"{flag}: {text!r} is not a time: write it as 2027-03-01T12:00:00Z, 2027-03-01 or 10m (ago)")
    return time.time() - ago


def _instant(text: str) -> float | None:
    found = times.parse_time(text if "T" in text else f"{text}T00:00:00Z")
    return None if found is None else found.timestamp()


def _with_units(text: str) -> float | None:
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def moment_or_none(text: str | None, flag: str) -> float | None:
    """Read a time as `moment` does; None where the flag is not set."""
    return None if text is None else moment(text, flag)


def service_account(text: str, flag: str) -> ServiceAccountName:
    """Read `sa:namespace/name`, or the API server's name for it."""
    named = text.removeprefix(SERVICE_ACCOUNT_PREFIX if text.startswith(SERVICE_ACCOUNT_PREFIX) else "sa:")
    account = None if named == text else ServiceAccountName.parse(SERVICE_ACCOUNT_PREFIX + named.replace("/", ":"))
    if account is None:
        raise UserError(f"{flag}: {text!r} is not a service account: write it as sa:NAMESPACE/NAME")
    return account


def grant_name(text: str) -> str:
    """Read a grant's name, also as `-o name` prints it."""
    return text.rpartition("/")[2]


def resource(text: str) -> tuple[str, str]:
    """Read `TYPE/ID`; the id may hold more slashes."""
    kind, slash, name = text.partition("/")
    if not (kind and slash and name):
        raise UserError(f"{text!r} is not a resource: write it as TYPE/ID, for example customer/42")
    return kind, name


def pairs(texts: Iterable[str] | None, flag: str) -> dict[str, str]:
    """Read `name=value` several times."""
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise UserError(f"{flag}: {text!r} has no value: write it as NAME=VALUE")
        if name in found:
            raise UserError(f"{flag}: {name} is set twice")
        found[name] = value
    return found


def values(texts: Iterable[str] | None, flag: str) -> dict[str, Any]:
    """Read `name=value`, where a value that is JSON (3, true, ["a"], "3") means that, and any other is a string."""
    return {name: json_or_text(value) for name, value in pairs(texts, flag).items()}


def json_or_text(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a value: what is JSON means that, and any other is a string."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return text


def _no_constant(name: str) -> None:
    raise ValueError(name)
