"""What FastAPI makes of a request's query, as the texts that are asked about.

Standing: below `fastapi`, which has the request; it reads FastAPI's own description of an operation and of everything
that the operation depends on.
Holds: a name that FastAPI gives to somebody is asked about as the value that it gives (`9_000` is 9000), and once; two
values for one name, or two names for one value, are refused. A name that FastAPI passes to no parameter keeps its text.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args
from fastapi.encoders import jsonable_encoder
from pydantic import AliasChoices, BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from starlette.datastructures import QueryParams

from bailiwick.targets import OddTargetError, query_texts

# From here on a float no longer holds every whole number, so that it is written as a float.
_WHOLE: Final = 2.0**53
# Digits and zeros of a decimal that is written out.
_DIGITS: Final = 400


def asked_query(
    dependant: Dependant, given: Mapping[str, Any], query: QueryParams, repeated: Sequence[str]
) -> dict[str, list[str]]:
    """Return the texts that are asked about, by name. Raises `OddTargetError` where one name has two values.

    `given` is what the operation itself was given; `repeated` names what may stand twice and is passed to no parameter.
    """
    taken: dict[str, list[str]] = {}
    for names, value in _values(dependant, given, query):
        sent = [name for name in names if name in query]
        if len(sent) > 1:
            raise OddTargetError(f"its query gives one value by two names, {' and '.join(sent)}")
        for name in sent:
            texts = _texts(value)
            if len(query.getlist(name)) > 1 and len(texts) != len(query.getlist(name)):
                raise OddTargetError(f"{name} occurs twice in its query, and takes one value")
            if taken.setdefault(name, texts) != texts:
                raise OddTargetError(f"{name} in its query is taken as two values")
    rest = query_texts(((name, value) for name, value in query.multi_items() if name not in taken), repeated)
    return {name: taken.get(name) or rest.get(name, []) for name in query}


def text_of(value: object) -> str:
    """Return one value as the text that stands for it and for no other. Raises `TypeError` for secrets."""
    match value:
        case SecretStr() | SecretBytes():
            # Written out, every one is the same row of stars. Nothing runs: its author finds out at once.
            raise TypeError("a parameter that is a secret type cannot be asked about: take it as a str")
        case Enum():
            return text_of(value.value)
        case str():
            return str(value)
        case bool() | None:
            return json.dumps(value)
        case float() if value.is_integer() and abs(value) < _WHOLE:
            return str(int(value))
        case int() | float() | UUID() | timedelta():
            return str(value)
        case Decimal():
            return _decimal(value)
        case datetime() | date() | time():
            return value.isoformat()
    plain = jsonable_encoder(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, sort_keys=True)


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        return str(value)
    whole = value.normalize() if value else Decimal(0)
    if abs(whole.adjusted()) > _DIGITS:
        return str(whole)
    return format(whole, "f")


def _texts(value: object) -> list[str]:
    match value:
        case list() | tuple():
            return [text_of(item) for item in value]
        case set() | frozenset():
            return sorted(text_of(item) for item in value)
    return [text_of(value)]


def _values(
    dependant: Dependant, given: Mapping[str, Any], query: QueryParams
) -> Iterator[tuple[frozenset[str], object]]:
    """Yield every value of the query that somebody is given, with all names by which it can be sent."""
    for field in dependant.query_params:
        values, errors = request_params_to_args([field], query)
        if errors or field.name not in values:
            raise OddTargetError(f"its query has no value for {field.alias}")
        value = given.get(field.name, values[field.name])
        if isinstance(value, BaseModel):
            config = type(value).model_config
            by_name = bool(config.get("validate_by_name", config.get("populate_by_name", False)))
            for name, described in type(value).model_fields.items():
                yield _names(name, described, by_name=by_name), getattr(value, name)
        else:
            yield _names(field.name, field.field_info), value
    for below in dependant.dependencies:
        yield from _values(below, {}, query)


def _names(name: str, described: FieldInfo, *, by_name: bool = False) -> frozenset[str]:
    """Return all names by which a parameter can be sent. Its own is one of them without an alias, or `by_name`."""
    said = described.validation_alias or described.alias or name
    choices = said.choices if isinstance(said, AliasChoices) else [said]
    names = {choice if isinstance(choice, str) else str(choice.path[0]) for choice in choices}
    return frozenset(names | {name} if by_name else names)
