"""Schema errors: what is wrong with an object that does not fit its model, for the author of the object.

Standing: the only module that reads pydantic's errors. The operator, admission, the loader of files and the file of
issuers report them with it. Holds: pure, and never raises; an unknown type of error keeps pydantic's message.
"""

import re
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bailiwick_api.kinds import approvalrequirement, endpointpolicy, histories, matches, meta
from bailiwick_engine.approval.display import visible
from bailiwick_engine.cel.hints import suggest_name
from bailiwick_engine.problem import Problem

_HINTED: Final = 20
"""The number of errors for which a hint is searched: of five thousand errors, people do not read more."""
_SHOWN: Final = 60
_UNTOLD: Final = object()
_NAMED: Final = 12
_TIME: Final = "must be a time with a time zone, for example 2027-03-31T00:00:00Z"
_WORDS: Final = re.compile(r"'([^']*)'")
_LABEL: Final = "must consist of lower-case letters, digits and hyphens, and start and end with a letter or digit"
_ENDING: Final = "or *, or end in * after one of . : /"
_PATTERNS: Final[Mapping[str, str]] = {
    meta.DNS_LABEL: _LABEL,
    meta.TIME_PATTERN: _TIME,
    matches.ACTION_PATTERN: f"must be a name without spaces, {_ENDING}",
    matches.RESOURCE_ID_PATTERN: f"must be an id without control characters, {_ENDING}",
    endpointpolicy.ATTRIBUTE_PATTERN: "must be the path of a call attribute, for example context.iban",
    approvalrequirement.POINTER_PATTERN: "must be a JSON pointer into a call, for example /context/args/fields",
    histories.WINDOW_PATTERN: "must be a number of minutes, hours or days, for example 30m, 1h or 7d",
    histories.OUTCOME_TIME_PATTERN: "must be a number of minutes or hours, for example 10m or 2h",
    histories.KEY_PART_PATTERN: (
        "must be subject, agent, session, resource, action or intent, or a path under subject.claims, context or"
        " resource.properties"
    ),
    histories.AMOUNT_PATTERN: "must be the path of a value in a call, for example context.args.amount",
    histories.SESSION_PATTERN: "must be the path of a value in a call, for example context.session",
    "^sha256:[a-f0-9]{64}$": "must be sha256: followed by 64 hex digits",
    "^[A-Za-z_][A-Za-z0-9_]*$": "must consist of letters, digits and _, and not start with a digit",
}


def problems(error: ValidationError, model: type[BaseModel], *, values: bool = True) -> tuple[Problem, ...]:
    """Return all problems of an object of this model. Without `values`, no message has a value of the object."""
    entries = error.errors(include_url=False, include_input=values)
    return tuple(
        Problem(path(entry["loc"]), _message(entry, model if index < _HINTED else None))
        for index, entry in enumerate(entries)
    )


def path(location: tuple[int | str, ...]) -> str:
    """Return the path of a field as Kubernetes writes it: `spec.rules[0].effect`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")


def _message(entry: ErrorDetails, model: type[BaseModel] | None) -> str:
    """Return what is wrong. Without `model` nothing is looked up."""
    kind, given, context = entry["type"], entry.get("input", _UNTOLD), entry.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(entry["loc"], model)
    if kind == "literal_error":
        words = _WORDS.findall(str(context.get("expected", "")))
        hint = suggest_name(given, words) if model is not None and isinstance(given, str) else ""
        return f"{_value_prefix(given)}is not one of {', '.join(words)}{hint}"
    if (found := _BY_KIND.get(kind)) is not None:
        return found(given, context)
    return entry["msg"]


def _unknown_field(location: tuple[int | str, ...], model: type[BaseModel] | None) -> str:
    told = "unknown field"
    found = None if model is None else _model_at(model, location[:-1])
    if found is None:
        return told
    names = sorted(field.alias or name for name, field in found.model_fields.items())
    wanted = str(location[-1])
    # As the models call them, which is how Python spells them.
    alias = {name: field.alias or name for name, field in found.model_fields.items()}.get(wanted)
    hint = f"; did you mean {alias}?" if alias is not None else suggest_name(wanted, names)
    listed = f"; the fields here are {', '.join(names)}" if len(names) <= _NAMED else ""
    return told + (hint or listed)


def _model_at(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Return the model of what stands at a location; None where it is none."""
    kind: Any = model
    for part in location:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = next((one for name, one in kind.model_fields.items() if part in {name, one.alias}), None)
            kind = None if field is None else field.annotation
        else:
            # The entries of a list, or the values of a mapping.
            kind = get_args(kind)[-1] if get_args(kind) else None
    kind = _bare(kind)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _bare(kind: Any) -> Any:  # noqa: ANN401 - a type, in any of the ways to write one
    """Return a type without what only annotates it, and without None."""
    while True:
        if get_origin(kind) is Annotated:
            kind = get_args(kind)[0]
        elif get_origin(kind) in {Union, UnionType}:
            (kind, *_) = [one for one in get_args(kind) if one is not type(None)]
        else:
            return kind


def _value_prefix(given: object) -> str:
    """Return a value as a prefix of a message; empty for a value that is not plain, or that must not be shown."""
    if isinstance(given, str):
        return f"'{visible(given if len(given) <= _SHOWN else given[: _SHOWN - 1] + '…')}' "
    return f"{str(given).lower()} " if isinstance(given, bool | int | float) else ""


_Tell = Callable[[Any, Mapping[str, Any]], str]


def _always(text: str) -> _Tell:
    return lambda _given, _context: text


def _without_quotes(text: str) -> _Tell:
    return lambda given, _context: f"{text}, without quotes" if isinstance(given, str) else text


def _string(given: object, _context: Mapping[str, Any]) -> str:
    return "must be a string" + (": write it in quotes" if isinstance(given, int | float) else "")


def _time(_given: object, context: Mapping[str, Any]) -> str:
    why = str(context.get("error", ""))
    return f"{_TIME} ({why})" if "range" in why else _TIME


def _pattern(given: object, context: Mapping[str, Any]) -> str:
    pattern = str(context.get("pattern", ""))
    return f"{_value_prefix(given)}{_PATTERNS.get(pattern, f'must match {pattern}')}"


def _many(count: object, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


_OBJECT: Final = _always("must be an object")
_LIST: Final = _always("must be a list")
_BY_KIND: Final[Mapping[str, _Tell]] = {
    "missing": _always("is required"),
    "string_type": _string,
    **dict.fromkeys(("bool_type", "bool_parsing"), _without_quotes("must be true or false")),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), _without_quotes("must be an integer")),
    **dict.fromkeys(("float_type", "float_parsing"), _without_quotes("must be a number")),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), _LIST),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), _OBJECT),
    "greater_than_equal": lambda _, context: f"must be at least {context.get('ge')}",
    "greater_than": lambda _, context: f"must be more than {context.get('gt')}",
    "less_than_equal": lambda _, context: f"must be at most {context.get('le')}",
    "less_than": lambda _, context: f"must be less than {context.get('lt')}",
    "string_too_short": lambda _, context: (
        f"must have at least {_many(context.get('min_length'), 'character', 'characters')}"
    ),
    "string_too_long": lambda _, context: (
        f"must have at most {_many(context.get('max_length'), 'character', 'characters')}"
    ),
    "too_short": lambda _, context: f"needs at least {_many(context.get('min_length'), 'entry', 'entries')}",
    "too_long": lambda _, context: (
        f"has {_many(context.get('actual_length'), 'entry', 'entries')}, but at most {context.get('max_length')} are"
        " allowed"
    ),
    "string_pattern_mismatch": _pattern,
    **dict.fromkeys(
        (
            "datetime_type",
            "datetime_parsing",
            "datetime_from_date_parsing",
            "datetime_object_invalid",
            "timezone_aware",
        ),
        _time,
    ),
    "value_error": lambda _, context: str(context.get("error", "is not valid")),
}
