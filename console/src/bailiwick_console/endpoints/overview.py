"""Which endpoints there are, and how their policies stand, by what the objects and their status say.

Holds: pure; nothing is compiled here, and no policy is left out: one whose endpoint cannot be read has a place too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PAGE: Final = 50

_TRUE: Final = "True"


@dataclass(frozen=True, slots=True)
class PolicyCondition:
    """A condition of a policy's status. `stale`: it is of an earlier generation."""

    type: str
    status: str
    reason: str
    message: str
    stale: bool

    @property
    def good(self) -> bool:
        """Whether all is well, as far as it says."""
        return self.status == _TRUE and not self.stale


@dataclass(frozen=True, slots=True)
class PolicyState:
    """A policy as its object says. Numbers and times are texts; empty: the status does not say."""

    namespace: str
    name: str
    endpoint: str | None
    mode: str
    replaces: str
    carries: bool
    suspended: bool
    ending: bool
    conditions: tuple[PolicyCondition, ...]
    rules: str
    gated: str
    expires: str
    unused_since: str
    last_used: str
    observed_since: str

    @property
    def ready(self) -> bool:
        """Whether every condition is good, and there is one."""
        return bool(self.conditions) and all(one.good for one in self.conditions)

    @property
    def use(self) -> str:
        """What the status says of its use, in words."""
        if self.unused_since:
            return f"unused since {self.unused_since}"
        if self.last_used:
            return f"last used on {self.last_used.partition('T')[0]}"
        if self.observed_since:
            return f"no use is known since {self.observed_since}"
        return "not known"


@dataclass(frozen=True, slots=True)
class EndpointState:
    """An endpoint and its policies, in order of name. `name` None: those of which the endpoint cannot be read."""

    namespace: str
    name: str | None
    policies: tuple[PolicyState, ...]

    @property
    def ready(self) -> int:
        """How many of the policies are ready."""
        return sum(one.ready for one in self.policies)

    @property
    def troubles(self) -> tuple[str, ...]:
        """The reasons of conditions that are not good, each once."""
        reasons = (one.reason or one.type for policy in self.policies for one in policy.conditions if not one.good)
        silent = ("no status yet",) if any(not policy.conditions for policy in self.policies) else ()
        return (*dict.fromkeys(reasons), *silent)


def endpoints(items: Iterable[Mapping[str, Any]]) -> tuple[EndpointState, ...]:
    """Return the endpoints of these policies, in order of namespace and name."""
    found: dict[tuple[str, str | None], list[PolicyState]] = {}
    for raw in items:
        state = policy_state(raw)
        found.setdefault((state.namespace, state.endpoint), []).append(state)
    order = sorted(found, key=lambda key: (key[0], key[1] is None, key[1] or ""))
    return tuple(EndpointState(*key, tuple(sorted(found[key], key=lambda one: one.name))) for key in order)


def policy_state(raw: Mapping[str, Any]) -> PolicyState:
    """Return a policy as its object says."""
    metadata, spec, status = raw["metadata"], _mapping(raw.get("spec")), _mapping(raw.get("status"))
    usage = _mapping(status.get("usage"))
    endpoint = spec.get("endpoint")
    return PolicyState(
        namespace=str(metadata["namespace"]),
        name=str(metadata["name"]),
        endpoint=endpoint if isinstance(endpoint, str) else None,
        mode=_text(spec.get("mode")) or "Enforce",
        replaces=_text(spec.get("replaces")),
        carries=spec.get("endpointSettings") is not None,
        suspended=spec.get("suspend") is True,
        ending=metadata.get("deletionTimestamp") is not None,
        conditions=tuple(_conditions(status.get("conditions"), metadata.get("generation"))),
        rules=_text(status.get("ruleCount")),
        gated=_text(status.get("gatedActionCount")),
        expires=_text(spec.get("expireTime")),
        unused_since=_text(usage.get("unusedSince")),
        last_used=_text(usage.get("lastUsedTime")),
        observed_since=_text(usage.get("observedSince")),
    )


def matching(found: Sequence[EndpointState], wanted: str) -> tuple[EndpointState, ...]:
    """Return the endpoints of which the name or the namespace has these letters."""
    return tuple(one for one in found if wanted in one.namespace or wanted in (one.name or ""))


def _conditions(listed: object, generation: object) -> Iterable[PolicyCondition]:
    for one in listed if isinstance(listed, list) else ():
        told = _mapping(one)
        observed = told.get("observedGeneration")
        kind, status, reason, message = (_text(told.get(name)) for name in ("type", "status", "reason", "message"))
        yield PolicyCondition(kind, status, reason, message, observed is not None and observed != generation)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)
