"""Definitions of histories, compiled: whose calls are counted together, which calls, and for how long.

Standing: over `dimensions`, for the settings in `model`; `compile` makes them. Holds: frozen; two definitions with
equal `digest` count alike.
"""

from dataclasses import dataclass
from typing import Literal

from bailiwick_engine.call import Call
from bailiwick_engine.cel.members import Path
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.dimensions.condition import CompiledCondition
from bailiwick_engine.policy.dimensions.resource import CompiledResource

Party = Literal["subject", "agent"]
CountedCalls = Literal["Allowed", "Succeeded", "Failed", "Denied"]
CalendarUnit = Literal["Hour", "Day", "Week", "Month"]


@dataclass(frozen=True, slots=True)
class PartyPart:
    """A part of a key: the subject, or the agent, which is the outermost actor, else the subject."""

    party: Party


@dataclass(frozen=True, slots=True)
class SessionPart:
    """A part of a key: the session, as the endpoint's settings say where it is.

    `path`: `("subject", "claims", <claim>)`, for which the issuer vouches, or where the enforcer states it.
    """

    path: Path

    @property
    def is_claim(self) -> bool:
        """Whether an issuer vouches for the session."""
        return self.path[:2] == ("subject", "claims")


@dataclass(frozen=True, slots=True)
class MemberPart:
    """A part of a key: a member of the call, such as `("context", "tenant")`, or `("resource",)` as a whole.

    `("resource",)` stands for type and id, `("action",)` for the name, `("intent",)` for the declared intent.
    """

    path: Path


KeyPart = PartyPart | SessionPart | MemberPart


def part_name(part: KeyPart) -> tuple[str, ...]:
    """Return what a part is known by: no two parts that can differ for a call have the same name."""
    match part:
        case PartyPart(party):
            return ("party", party)
        case SessionPart(path):
            return ("session", *path)
        case MemberPart(path):
            return ("member", *path)


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """The last `milliseconds`."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    """The present period of the calendar in a time zone of the IANA database."""

    unit: CalendarUnit
    time_zone: str


@dataclass(frozen=True, slots=True)
class Amount:
    """What is summed: a member of the call, counted in units of 10 to the power of minus `digits`."""

    path: Path
    digits: int


@dataclass(frozen=True, slots=True, eq=False)
class CompiledHistory:
    """One history of an endpoint.

    `digest` (12 hex digits) is of everything that decides what is counted, but not of the name: it names the line in
    the state of a key. `resources` None: all. `when` None: always. `key` is in the order of `part_name`, so that keys
    of the same parts are one. `ignores_approved`: a call that a grant lets through adds nothing.
    `outcome_within`: for how many milliseconds after it was let through a call's outcome counts.
    """

    name: str
    digest: str
    key: tuple[KeyPart, ...]
    window: SlidingWindow | CalendarWindow
    actions: NameSet
    resources: tuple[CompiledResource, ...] | None = None
    when: CompiledCondition | None = None
    amount: Amount | None = None
    what: CountedCalls = "Allowed"
    ignores_approved: bool = False
    outcome_within: int = 0

    @property
    def counts_denied(self) -> bool:
        """Whether it counts denied calls alone, after their answers."""
        return self.what == "Denied"

    @property
    def awaits_outcome(self) -> bool:
        """Whether it counts a call by the outcome that is reported of it, and only then."""
        return self.what in {"Succeeded", "Failed"}

    def counts(self, call: Call) -> bool:
        """Tell whether it counts an allowed call for certain, whatever its attributes are and whatever allows it."""
        if self.what != "Allowed" or self.ignores_approved:
            return False
        if call.action.name not in self.actions or self.when is not None:
            return False
        listed = self.resources
        return listed is None or any(one.whole and one.type == call.resource.type for one in listed)
