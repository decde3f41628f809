"""Types and bounds of fields, in words for a table.

Standing: under `fields`. Holds: a pattern without words raises, so that no field is told with less than it takes.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from bailiwick_api.kinds import approvalrequirement, endpointpolicy, enforcers, histories, httproutes, matches, meta
from bailiwick_cli.policytest import model

Schema = Mapping[str, Any]

_NAMES: Final = "[name or pattern](#names-and-wildcards)"
_IDENTIFIER: Final = "letters, digits and `_`, not beginning with a digit"
_WORDS: Final[Mapping[str, str]] = {
    meta.DNS_LABEL: "DNS label",
    matches.ACTION_PATTERN: _NAMES,
    matches.RESOURCE_ID_PATTERN: _NAMES,
    endpointpolicy.ATTRIBUTE_PATTERN: "path of an attribute",
    approvalrequirement.POINTER_PATTERN: "JSON pointer",
    endpointpolicy.KEPT_PATTERN: "path of an attribute",
    histories.WINDOW_PATTERN: "number and `m`, `h` or `d`",
    model.DURATION_PATTERN: "numbers, each with `s`, `m`, `h` or `d`",
    histories.OUTCOME_TIME_PATTERN: "minutes or hours, such as `10m`, from `1m` to `24h`",
    histories.KEY_PART_PATTERN: "name or path of a part",
    histories.AMOUNT_PATTERN: "path of a value",
    histories.SESSION_PATTERN: "path of a value",
    enforcers.SPIFFE_PATTERN: "SPIFFE ID",
    enforcers.DNS_PATTERN: "DNS name in lower case",
    httproutes.PATH_PATTERN: "path, with `{name}` for a segment",
    httproutes.LITERAL_PATH_PATTERN: "path",
    httproutes.VALUE_PATTERN: "text with `{name}`, `{query.name}` or `{header.name}`",
    httproutes.ARGUMENT_PATTERN: "JSON pointer, or one name in braces",
    httproutes.HOST_PATTERN: "host, with or without a port",
    "^v[12]:[a-f0-9]{64}$": "`v2:` and 64 hex digits, `v1:` in older grants",
    "^sha256:[a-f0-9]{64}$": "`sha256:` and 64 hex digits",
    "^[A-Za-z_][A-Za-z0-9_]*$": _IDENTIFIER,
    r"^[A-Za-z0-9_][-A-Za-z0-9_]*$": "letters, digits, `_` and `-`",
    "^[A-Z]+$": "upper-case letters",
    r"^[^*\x00-\x20\x7f]+$": "name without `*`",
}


def told(node: Schema) -> str:
    """Return the type of a resolved node and its bounds. Raises `KeyError` for a pattern that has no words."""
    if "anyOf" in node:
        return " or ".join(told(choice) for choice in node["anyOf"])
    if "const" in node or "enum" in node:
        return ", ".join(_code(value) for value in node.get("enum", [node.get("const")]))
    match node.get("type"):
        case "array":
            return _list(node)
        case "object":
            return _object(node)
        case "string":
            return "time (RFC 3339)" if node.get("format") == "date-time" else _string(node)
        case "integer":
            return f"integer{_comma(_range(node.get('minimum'), node.get('maximum')))}"
        case kind:
            return str(kind)


def held(node: Schema) -> Schema | None:
    """Return what each item of a list or each value of a map is; None for what is neither, and for an open object."""
    if "items" in node:
        return node["items"]  # type: ignore[no-any-return]  # a schema in a schema
    patterns = node.get("patternProperties")
    value = next(iter(patterns.values())) if patterns else node.get("additionalProperties")
    return value if isinstance(value, Mapping) and value else None


def default(node: Schema, *, required: bool) -> str:
    """Return what a cell says of the default: "required", the value, or nothing."""
    if required:
        return "required"
    value = node.get("default")
    return "" if value in (None, "") or isinstance(value, list | dict) else f"`{json.dumps(value).strip(chr(34))}`"


def _list(node: Schema) -> str:
    many = _range(node.get("minItems"), node.get("maxItems"))
    kind = "set" if node.get("x-kubernetes-list-type") == "set" else "list"
    keys = node.get("x-kubernetes-list-map-keys", ())
    unique = f", unique by {' and '.join(_code(key) for key in keys)}" if keys else ""
    if "properties" in node["items"]:
        return f"list of {many and f'{many} '}objects{unique}"
    return f"{kind}{many and f' of {many}'}{unique}; each: {told(node['items'])}"


def _object(node: Schema) -> str:
    if (value := held(node)) is None:
        return "object" if "properties" in node else "any JSON object"
    many = _range(node.get("minProperties"), node.get("maxProperties"))
    return f"map{many and f' of {many}'}; each: {told(value)}"


def _string(node: Schema) -> str:
    words = _WORDS[node["pattern"]] if "pattern" in node else "string"
    many = _range(node.get("minLength"), node.get("maxLength"))
    return f"{words}{_comma(many and f'{many} characters')}"


def _range(least: int | None, most: int | None) -> str:
    if most is None:
        return "" if not least else f"at least {least:,}"
    return f"at most {most:,}" if not least and least != 0 else f"{least:,} to {most:,}"


def _comma(text: str) -> str:
    return text and f", {text}"


def _code(value: object) -> str:
    return f"`{value}`"
