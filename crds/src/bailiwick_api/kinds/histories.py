"""Histories of an endpoint: which calls are counted together, for how long, and what of them is summed.

Standing: below `endpointpolicy`, which has them in `endpointSettings`. Holds: a definition that the API server refuses
does not parse here either, with the same message; each text is bounded.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.matches import Action, Expression, ResourceMatch
from bailiwick_api.kinds.meta import LIST_ATOMIC, SET, Model

MOST_HISTORIES: Final = 16
MOST_KEYS: Final = 4
"""How many different keys the histories of an endpoint have: a call is counted in so many objects at most."""
SESSION: Final = "session"
"""The part of a key that stands for the session, as `endpointSettings.session` says where it is."""

WINDOW_PATTERN: Final = r"^[1-9][0-9]{0,4}[mhd]$"
OUTCOME_TIME_PATTERN: Final = r"^[1-9][0-9]{0,3}[mh]$"
OUTCOME_TIME: Final = "10m"
"""For how long an outcome can be reported if the definition does not say."""
# A path is that of a member of the call; a part of a path is the name of a member.
KEY_PART_PATTERN: Final = (
    r"^(subject|agent|session|resource|action|intent"
    r"|(subject\.claims|context|resource\.properties)(\.[A-Za-z_][A-Za-z0-9_-]*){1,8})$"
)
AMOUNT_PATTERN: Final = r"^(context|(action|resource)\.properties)(\.[A-Za-z_][A-Za-z0-9_-]*){1,8}$"
SESSION_PATTERN: Final = r"^(context|subject\.properties)(\.[A-Za-z_][A-Za-z0-9_-]*){1,8}$"

_MILLISECONDS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_OUTCOME: Final = 24 * _MILLISECONDS["h"]
_LONGEST: Final = 31 * _MILLISECONDS["d"]


def window_milliseconds(window: str) -> int:
    """Return the length of a window that has the form of `WINDOW_PATTERN`."""
    return int(window[:-1]) * _MILLISECONDS[window[-1]]


def _refusal(rule: cel.CelRule) -> PydanticCustomError:
    """Return the error for a definition that breaks a rule of the schema, with the message of the API server."""
    return PydanticCustomError("rule", "{message}", {"message": rule.message})


def _require_length(window: str) -> str:
    if window_milliseconds(window) > _LONGEST:
        raise _refusal(cel.WINDOW_LIMITED)
    return window


Window = Annotated[
    str,
    Field(
        max_length=6,
        pattern=WINDOW_PATTERN,
        json_schema_extra=cel.validations(cel.WINDOW_LIMITED),
    ),
    AfterValidator(_require_length),
]


def _require_outcome_length(time: str) -> str:
    if window_milliseconds(time) > _LONGEST_OUTCOME:
        raise _refusal(cel.OUTCOME_TIME_LIMITED)
    return time


OutcomeTime = Annotated[
    str,
    Field(
        max_length=5,
        pattern=OUTCOME_TIME_PATTERN,
        json_schema_extra=cel.validations(cel.OUTCOME_TIME_LIMITED),
    ),
    AfterValidator(_require_outcome_length),
]
KeyPartName = Annotated[str, Field(min_length=1, max_length=253, pattern=KEY_PART_PATTERN)]
AmountPath = Annotated[str, Field(min_length=1, max_length=253, pattern=AMOUNT_PATTERN)]
SessionPath = Annotated[str, Field(min_length=1, max_length=253, pattern=SESSION_PATTERN)]


class SessionSource(Model):
    """Where the session of a call is. Set exactly one of claim and property."""

    claim: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    """A claim of the subject's token, for example sid. The issuer vouches for it."""
    property: SessionPath | None = None
    """A path in the call, for example context.session. It is the enforcer's word, so it counts only with the agent."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.SESSION_IS_ONE_THING))

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        if (self.claim is None) == (self.property is None):
            raise _refusal(cel.SESSION_IS_ONE_THING)
        return self


class CalendarPeriod(Model):
    """A period of the calendar. It ends for all calls at once."""

    unit: Literal["Hour", "Day", "Week", "Month"]
    """A week begins on Monday."""
    time_zone: Annotated[str, Field(min_length=1, max_length=64)]
    """A name of the IANA time zone database, for example Europe/Berlin."""


class HistoryCounts(Model):
    """Which calls a history counts."""

    actions: Annotated[list[Action], Field(min_length=1, max_length=64), SET]
    """An exact name, "*", or a prefix that ends in * after one of . : /"""
    resources: Annotated[
        list[ResourceMatch] | None, Field(min_length=1, max_length=16, json_schema_extra=LIST_ATOMIC)
    ] = None
    when: Expression | None = None
    """CEL over the same names as a condition, but for history. A call for which it is unknown is denied."""
    what: Literal["Allowed", "Succeeded", "Failed", "Denied"] = "Allowed"
    """Allowed calls are counted before the answer. Succeeded and Failed are allowed calls that the enforcer reports to
    have succeeded or failed: they are counted at the time of the report. Denied are calls that the rules deny: they are
    counted after the answer, usually within a second."""
    approved: Literal["Count", "Ignore"] = "Count"
    """Ignore leaves out calls that an approval lets through."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.DENIED_ARE_NOT_APPROVED))

    @model_validator(mode="after")
    def _approved_are_allowed(self) -> Self:
        if self.what == "Denied" and self.approved == "Ignore":
            raise _refusal(cel.DENIED_ARE_NOT_APPROVED)
        return self


class HistoryAmount(Model):
    """What a history sums."""

    of: AmountPath
    """A path in the call, for example context.args.amount. Its value must be a number of 0 or more, or a decimal number
    in a string. A call that would count and has no such value is denied."""
    digits: Annotated[int, Field(ge=0, le=6)]
    """How many decimals a value can have. A call with more is denied."""


class HistoryDefinition(Model):
    """Counts calls that belong together. Conditions read the numbers as `history.<name>`."""

    name: Annotated[str, Field(min_length=1, max_length=63, pattern="^[A-Za-z_][A-Za-z0-9_]*$")]
    key: Annotated[list[KeyPartName], Field(max_length=4), SET]
    """Calls for which all of these are equal are counted together: subject, agent (the outermost actor, else the
    subject), session, resource, action, intent, or a path under subject.claims, context or resource.properties. An
    empty list counts all calls of the endpoint together."""
    window: Window | None = None
    """For how long a call counts: minutes, hours or days, from 1m to 31d. At most 1/64 longer, and never shorter."""
    calendar: CalendarPeriod | None = None
    counts: HistoryCounts
    amount: HistoryAmount | None = None
    outcome_within: OutcomeTime | None = None
    """For how long after the answer an outcome can be reported: minutes or hours, from 1m to 24h."""

    model_config = ConfigDict(
        json_schema_extra=cel.validations(
            cel.HISTORY_HAS_ONE_WINDOW, cel.DENIED_HAVE_NO_AMOUNT, cel.OUTCOMES_ARE_COUNTED
        )
    )

    @model_validator(mode="after")
    def _one_window(self) -> Self:
        if (self.window is None) == (self.calendar is None):
            raise _refusal(cel.HISTORY_HAS_ONE_WINDOW)
        return self

    @model_validator(mode="after")
    def _outcomes_are_counted(self) -> Self:
        if self.outcome_within is not None and self.counts.what not in {"Succeeded", "Failed"}:
            raise _refusal(cel.OUTCOMES_ARE_COUNTED)
        return self

    @model_validator(mode="after")
    def _summed_are_allowed(self) -> Self:
        if self.counts.what == "Denied" and self.amount is not None:
            raise _refusal(cel.DENIED_HAVE_NO_AMOUNT)
        return self


def require_keys(session: SessionSource | None, histories: Sequence[HistoryDefinition]) -> None:
    """Raise if the histories of an endpoint have too many keys, or one that needs a session where there is none."""
    if session is None and any(SESSION in history.key for history in histories):
        raise _refusal(cel.SESSION_KEY_NEEDS_SESSION)
    if len({frozenset(history.key) for history in histories}) > MOST_KEYS:
        raise _refusal(cel.HISTORY_KEYS_LIMITED)
