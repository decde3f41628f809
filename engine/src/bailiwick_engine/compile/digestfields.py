"""Digest fields: a part of a policy as plain JSON that is equal exactly if everything a grant depends on is equal.

Standing: below `ruledigest` and `settingsdigest`. Holds: every field counts, a new one too, but for the exceptions
that dimensions and this module name; the order of a list never counts, nor does a default that is written out.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

from bailiwick_engine.call import Json
from bailiwick_engine.canonicaljson import canonical
from bailiwick_engine.policy.dimensions.table import DIMENSIONS

_DIMENSIONS_EXCEPTIONS: Final = {field: why for one in DIMENSIONS for field, why in one.uncounted.items()}
_DIMENSIONS_STAND_INS: Final = {field: why for one in DIMENSIONS for field, why in one.counted_otherwise.items()}

EXCEPTIONS: Final[Mapping[tuple[str, str], str]] = {
    **_DIMENSIONS_EXCEPTIONS,
    ("EndpointSettings", "enforcers"): "They say who can request decisions. A grant is bound to the request alone.",
    ("EndpointSettings", "record"): "It says what records contain, not what is allowed.",
}
"""Fields that do not count, by class and name, each with the reason."""

STAND_INS: Final[Mapping[tuple[str, str], str]] = {
    **_DIMENSIONS_STAND_INS,
    ("EndpointPolicySpec", "endpoint_settings"): "`settingsdigest` has those in force: another policy can carry them.",
    ("EndpointPolicySpec", "rules"): "The rule itself counts. Each other one is judged at each use.",
    ("Delegation", "principals"): "They are names: what each stands for counts.",
    ("Delegation", "ceiling"): "Each entry counts, by a digest of its own.",
    ("HttpSettings", "routes"): "Those that come to an action of the rule count, and those that compete with them.",
}
"""Fields in whose place something else counts, which the digests add."""


def meaning(value: Any) -> Json:  # noqa: ANN401 - a model, or what a field of one holds
    """Return the meaning of a model of a kind, or of a value of one."""
    if isinstance(value, BaseModel):
        return _members(value)
    if isinstance(value, Mapping):
        return {str(name): meaning(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        # Sets and named entries: in no list of a rule or of settings does the order say anything.
        if all(type(held) is str for held in value):
            return sorted(value)
        return sorted((meaning(held) for held in value), key=canonical)
    if isinstance(value, datetime):
        return value.isoformat()
    plain: Json = value
    return plain


def _members(model: BaseModel) -> dict[str, Json]:
    """Return the meaning of the fields that count, without those that are at their default."""
    found: dict[str, Json] = {}
    for name, default in _counted(type(model)):
        held = getattr(model, name)
        if held is not None and held != default:
            found[name] = meaning(held)
    return found


@cache
def _counted(kind: type[BaseModel]) -> tuple[tuple[str, object], ...]:
    """Return name and default of each field that counts."""
    apart = EXCEPTIONS.keys() | STAND_INS.keys()
    return tuple(
        (name, field.get_default(call_default_factory=True))
        for name, field in kind.model_fields.items()
        if (kind.__name__, name) not in apart
    )
