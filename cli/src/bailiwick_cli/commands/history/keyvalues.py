"""Key values: which object of an endpoint holds the counts of a key, by what somebody typed of the key.

Standing: under `history show`. Holds: the name of the object is made by the engine, from a call that has these values;
a part that is missing or not in the key is an error.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX, ServiceAccountName
from bailiwick_cli.errors import CliError
from bailiwick_cli.policytest.model import PartyFixture
from bailiwick_cli.policytest.parties import UnknownPartyError, party_of
from bailiwick_engine.approval.display import visible
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.decision.hops import seen
from bailiwick_engine.history.keys import ObjectKey, object_key
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.policy.histories import CompiledHistory, KeyPart, PartyPart, SessionPart
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_governance import arguments

AccountUid = Callable[[ServiceAccountName], str]
"""Returns the uid of a service account, by which a key knows it."""


@dataclass(frozen=True, slots=True)
class CountedKey:
    """An object, and the histories that are counted in it for this key."""

    object: ObjectKey
    histories: tuple[CompiledHistory, ...]


def counted_key(
    place: tuple[str, str], endpoint: CompiledEndpoint, texts: Sequence[str], uid_of: AccountUid
) -> CountedKey:
    """Return the object of a key. `place`: the endpoint's namespace and name. Raises `UserError`."""
    given = arguments.pairs(texts, "KEY=VALUE")
    if endpoint.settings is None or not endpoint.histories:
        raise CliError(f"the endpoint {place[1]} declares no history")
    keys = {key_names(one.key): one.key for one in endpoint.histories}
    parts = keys.get(tuple(sorted(given)))
    if parts is None:
        known = " or ".join(sorted(" ".join(f"{name}=VALUE" for name in names) or "no part" for names in keys))
        raise CliError(
            f"no history of {place[1]} has the key {visible(' '.join(sorted(given)) or 'of no part')}: {known}"
        )
    call = _call(place, parts, given, endpoint.settings, uid_of)
    subject = call.subject
    if not isinstance(subject, Party):
        raise CliError("the subject is not known")
    found = object_key(place[1], parts, call, subject, seen(endpoint, call, subject, 0.0))
    if found is None:
        raise CliError("no call can have this key: a value is empty, or of a kind that no history counts by")
    return CountedKey(found, tuple(one for one in endpoint.histories if one.key == parts))


def key_names(parts: Sequence[KeyPart]) -> tuple[str, ...]:
    """Return what the parts of a key are typed as, in order. A stated session is keyed with its agent."""
    names = {_typed_name(part) for part in parts}
    if any(isinstance(part, SessionPart) and not part.is_claim for part in parts):
        names.add("agent")
    return tuple(sorted(names))


def _typed_name(part: KeyPart) -> str:
    if isinstance(part, PartyPart):
        return part.party
    return "session" if isinstance(part, SessionPart) else ".".join(part.path)


@dataclass(slots=True)
class _Parts:
    """The parts of a call that a key can have."""

    subject: dict[str, Any] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)

    def put(self, path: Sequence[str], value: object) -> None:
        """Put a value at its path."""
        into: dict[str, Any] = getattr(self, path[0])
        for name in path[1:-1]:
            into = into.setdefault(name, {})
        into[path[-1]] = value


def _call(
    place: tuple[str, str],
    parts: Sequence[KeyPart],
    given: Mapping[str, str],
    settings: CompiledSettings,
    uid_of: AccountUid,
) -> Call:
    """Return a call that has these values, as an enforcer would ask about it."""
    made = _Parts()
    issuer: str | None = None
    for part in parts:
        text = given[_typed_name(part)]
        if isinstance(part, SessionPart):
            if part.is_claim:
                issuer, text = _session_issuer(text, settings)
            made.put(part.path, text)
        elif not isinstance(part, PartyPart) and len(part.path) > 1:
            made.put(part.path, arguments.json_or_text(text))
    if "intent" in given:
        made.context["intent"] = given["intent"]
    subject = Party("key", "key", "key", issuer=issuer)
    if "subject" in given:
        subject = _party("subject", given["subject"], settings, uid_of)
    actors = (_party("agent", given["agent"], settings, uid_of),) if "agent" in given else ()
    claims, properties = made.subject.get("claims", {}), made.subject.get("properties")
    subject = Party(subject.type, subject.id, subject.uid, claims, properties, subject.issuer)
    kind, name = arguments.resource(given.get("resource", "key/key"))
    resource = Resource(kind, name, made.resource.get("properties"))
    caller = ServiceAccount("key", "")
    return Call(*place, caller, subject, Action(given.get("action", "key")), resource, made.context, actors)


def _session_issuer(text: str, settings: CompiledSettings) -> tuple[str, str]:
    """Return the issuer of a session from a claim, and its value. Raises `CliError`."""
    issuers = settings.issuers or {CLUSTER}
    if len(issuers) == 1:
        return next(iter(issuers)), text
    issuer, _, value = text.partition("/")
    if issuer not in issuers:
        listed = ", ".join(sorted(issuers))
        raise CliError(f"session: write it as ISSUER/VALUE, with an issuer that the endpoint accepts: {listed}")
    return issuer, value


def _party(name: str, text: str, settings: CompiledSettings, uid_of: AccountUid) -> Party:
    """Return a party as the decision point would have verified it. Raises `UserError`."""
    account = text.removeprefix("sa:")
    if account != text:
        fixture = PartyFixture(service_account=account)
    else:
        fixture = PartyFixture(entity=text) if settings.asserted else PartyFixture(user=text)
    try:
        party = party_of(fixture, settings)
    except UnknownPartyError as error:
        raise CliError(f"{name}: {error}; a service account is sa:NAMESPACE/NAME") from error
    known = ServiceAccountName.parse(SERVICE_ACCOUNT_PREFIX + account.replace("/", ":"))
    if party.type == SERVICE_ACCOUNT and party.issuer is not None and known is not None:
        return Party(party.type, party.id, uid_of(known), issuer=party.issuer)
    return party
