"""Whether arguments reach a tool as they are: as its schema takes them, and in the one spelling of what they mean.

Standing: below `calls`; pure. Holds: what a client sends decides what is refused, and not how long that takes or
whether the process lives, since this comes before it is known who calls. No reference of a schema is fetched.
"""

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath
from typing import Any, Final
from uuid import UUID

import jsonschema_rs

from bailiwick import sentences
from bailiwick.call import decoded, encoded

# How often the engine of patterns may step back in one text. Most patterns need none, and run in linear time.
_MAX_BACKTRACKS: Final = 10_000
_SHOWN: Final = 200
# What a server parses, and takes in other spellings too. The names are those of JSON Schema and of pydantic.
_CANONICAL: Final[Mapping[str, Callable[[str], object]]] = {
    **dict.fromkeys(("uuid", "uuid1", "uuid3", "uuid4", "uuid5", "uuid6", "uuid7", "uuid8"), UUID),
    "date": date.fromisoformat,
    "ipv4": ipaddress.IPv4Address,
    "ipv4interface": ipaddress.IPv4Interface,
    "ipv4network": ipaddress.IPv4Network,
    "ipv6": ipaddress.IPv6Address,
    "ipv6interface": ipaddress.IPv6Interface,
    "ipv6network": ipaddress.IPv6Network,
    "ipvanyaddress": ipaddress.ip_address,
    "ipvanyinterface": ipaddress.ip_interface,
    "ipvanynetwork": ipaddress.ip_network,
    **dict.fromkeys(("path", "file-path", "directory-path"), PurePosixPath),
}
# All other formats of JSON Schema stay what they are by default: said, and not held to.
_UNCHECKED: Final = (
    *("date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "iri", "iri-reference"),
    *("json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference", "uri-template"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgumentDefect:
    """Why arguments are refused, as a sentence. `ambiguous`: two readers could take them for different things."""

    detail: str
    ambiguous: bool = False


def argument_defect(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> ArgumentDefect | None:
    """Return why a tool would not run with these arguments as they are; None where it would.

    A tool changes what its schema does not take, such as "007" for 7, and some servers what it does take, see below.
    """
    try:
        # First of all: the engine follows a schema that refers to itself as deep as the arguments are, on the stack.
        carried = decoded(encoded(arguments))
    except ValueError as error:
        return ArgumentDefect(detail=sentences.undecidable("The arguments", error))
    return _schema_defect(carried, schema) or _json_defect(carried, schema)


def _schema_defect(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> ArgumentDefect | None:
    respelled: list[tuple[str, str]] = []

    def is_canonical(text: str, parse: Callable[[str], object]) -> bool:
        try:
            canonical = str(parse(text))
        except ValueError:
            return False
        if canonical != text:
            respelled.append((text, canonical))
        return canonical == text

    def held_to(parse: Callable[[str], object]) -> Callable[[str], bool]:
        return lambda text: is_canonical(text, parse)

    formats: dict[str, Callable[[str], bool]] = dict.fromkeys(_UNCHECKED, lambda _: True)
    formats |= {name: held_to(parse) for name, parse in _CANONICAL.items()}
    try:
        # The schema is a server's, the arguments are anybody's. This engine compares items of `uniqueItems` by hash,
        # and gives a pattern up that steps back too often.
        validator = jsonschema_rs.validator_for(
            dict(schema),
            formats=formats,
            validate_formats=True,
            offline=True,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_MAX_BACKTRACKS),
        )
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        return ArgumentDefect(detail="The tool's own schema cannot be used, so the arguments cannot be checked.")
    error = next(iter(validator.iter_errors(dict(arguments))), None)
    if error is None:
        return None
    if respelled:
        text, canonical = respelled[0]
        return ArgumentDefect(
            detail=f"{text[:_SHOWN]!r} has another spelling, which is {canonical[:_SHOWN]!r}", ambiguous=True
        )
    path = "/".join(str(part) for part in error.instance_path) or "arguments"
    return ArgumentDefect(detail=f"The arguments are not those of the tool's schema: {path}: {error.message[:_SHOWN]}.")


def _json_defect(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> ArgumentDefect | None:
    """Return what is wrong with an argument whose text some servers take for the JSON in it.

    The official SDK does so with null, lists and objects, for models that quote them, wherever a parameter is not a
    plain text: one that may be left out by null is left out by the text "null" too.
    """
    declared = schema.get("properties")
    kinds: Mapping[str, Any] = declared if isinstance(declared, Mapping) else {}
    for name, value in arguments.items():
        kind = kinds.get(name)
        if isinstance(value, str) and kind is not None and not _is_text(kind, name) and _holds_json(value):
            detail = f"servers take the text of the argument {name[:64]} for the JSON that stands in it"
            return ArgumentDefect(detail=detail, ambiguous=True)
    return None


def _is_text(kind: object, name: str) -> bool:
    """Tell whether a parameter takes texts alone, by its schema.

    Of a parameter without an annotation the official SDK says so too, and takes anything for it. Only its title tells:
    the SDK gives it the very name, and pydantic gives others the name in words (`id` and `Id`).
    """
    return isinstance(kind, Mapping) and kind.get("type") == "string" and kind.get("title") != name


def _holds_json(value: str) -> bool:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return found is None or isinstance(found, list | dict)
