"""Parties: the subjects and actors of a test file as the decision point would have verified them.

Holds: no party is taken for one that this endpoint could not have authenticated; what the file does not say is unknown.
"""

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX, ServiceAccountName
from bailiwick_api.usernames import ASSERTED, is_reserved
from bailiwick_cli.policytest.model import PartyFixture
from bailiwick_engine import keys
from bailiwick_engine.call import Party, PodWorkload
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, USER
from bailiwick_engine.policy.model import CompiledSettings
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_regions.parties import is_accepted


class UnknownPartyError(ValueError):
    """A party cannot be one of this endpoint's. `member` is the key that says so."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(message)
        self.member = member


def party_of(fixture: PartyFixture, settings: CompiledSettings) -> Party:
    """Return the party. Raises `UnknownPartyError`."""
    if fixture.service_account is not None:
        return _account(fixture, fixture.service_account, settings)
    if fixture.user is not None:
        return _user(fixture, fixture.user, settings)
    return _entity(fixture, fixture.entity or "", settings)


def asserted_party(kind: str, name: str, settings: CompiledSettings, properties: dict[str, object] | None) -> Party:
    """Return the subject of an AuthZEN request. Raises `UnknownPartyError`."""
    if settings.asserted:
        _check_name("id", kind, name)
        return Party(kind, name, keys.uid_of(ASSERTED, name), properties=properties, issuer=None)
    if kind != SERVICE_ACCOUNT or ServiceAccountName.parse(name) is None:
        raise UnknownPartyError(
            "id", f"the endpoint takes subjects by their tokens: type must be {SERVICE_ACCOUNT}, and id a username"
        )
    return Party(kind, name, keys.uid_of(CLUSTER, name), properties=properties, hypothetical=True)


def refusal(settings: CompiledSettings, issuer: str) -> str:
    """Say why the endpoint cannot prove anybody of an issuer."""
    if settings.asserted:
        return "the endpoint takes subjects on the enforcer's word: use entity"
    listed = ", ".join(sorted(settings.issuers)) or "none"
    return f"the endpoint does not accept the issuer {issuer}: it accepts {listed}"


def is_named(endpoint: CompiledEndpoint, party: Party) -> bool:
    """Tell whether anything in the policies names a party: a rule, or who may be acted for."""
    delegation = endpoint.settings.delegation if endpoint.settings else None
    principals = frozenset() if delegation is None else delegation.principals
    return any(not party.keys.isdisjoint(rule.subjects) for rule in endpoint.rules) or not party.keys.isdisjoint(
        principals
    )


def _account(fixture: PartyFixture, spelled: str, settings: CompiledSettings) -> Party:
    account = ServiceAccountName.parse(SERVICE_ACCOUNT_PREFIX + spelled.replace("/", ":"))
    if account is None:
        raise UnknownPartyError("serviceAccount", "must be NAMESPACE/NAME")
    if not (settings.asserted or is_accepted(settings, CLUSTER)):
        raise UnknownPartyError("serviceAccount", refusal(settings, CLUSTER))
    username = account.username
    workload = fixture.workload
    return Party(
        SERVICE_ACCOUNT,
        username,
        keys.uid_of(CLUSTER, username),
        claims=fixture.claims or {},
        properties=fixture.properties,
        issuer=None if settings.asserted else CLUSTER,
        workload=None if workload is None else PodWorkload(frozenset(workload.images), workload.labels),
        hypothetical=fixture.claims is None and not settings.asserted,
    )


def _user(fixture: PartyFixture, spelled: str, settings: CompiledSettings) -> Party:
    issuer, name = _split_issuer(spelled, settings)
    _check_name("user", USER, name)
    groups: list[str] = []
    for index, group in enumerate(fixture.groups):
        vouching, _, of_issuer = group_of(group)
        if vouching != issuer or not of_issuer:
            raise UnknownPartyError(f"groups[{index}]", f"must be {issuer}/NAME: only that issuer vouches for the user")
        groups.append(of_issuer)
    return Party(
        USER,
        name,
        keys.uid_of(issuer, name),
        claims=fixture.claims or {},
        properties=fixture.properties,
        issuer=issuer,
        groups=tuple(groups),
        username=fixture.username,
        hypothetical=fixture.claims is None,
    )


def group_of(spelled: str) -> tuple[str, str, str]:
    """Take `ISSUER/NAME`, or `ISSUER:NAME`, apart, with what stands between; no issuer's name has either."""
    between = next((character for character in spelled if character in "/:"), "")
    issuer, _, name = spelled.partition(between) if between else ("", "", "")
    return issuer, between, name


def _split_issuer(spelled: str, settings: CompiledSettings) -> tuple[str, str]:
    """Take `ISSUER/NAME`, or `NAME@ISSUER`, apart: names may hold either character. Raises `UnknownPartyError`."""
    first, slash, rest = spelled.partition("/")
    name, _, last = spelled.rpartition("@")
    read = {(first, rest)} if slash and first and rest else set()
    read |= {(last, name)} if name and last else set()
    known = {one for one in read if is_accepted(settings, one[0])}
    if not read:
        raise UnknownPartyError("user", "must be ISSUER/NAME, with the issuer's name in the installation")
    if len(known) > 1:
        ways = " and ".join(keys.label(keys.user(*one)) for one in sorted(known))
        raise UnknownPartyError("user", f"can be read as {ways}: write it with the other of / and @ alone")
    if not known:
        raise UnknownPartyError("user", refusal(settings, next(iter(sorted(read)))[0]))
    return next(iter(known))


def _check_name(member: str, kind: str, name: str) -> None:
    """Raise `UnknownPartyError` for a person whose name the decision point refuses."""
    if kind == USER and is_reserved(name):
        raise UnknownPartyError(member, f"{name} begins with system:, as no person's name does")


def _entity(fixture: PartyFixture, spelled: str, settings: CompiledSettings) -> Party:
    kind, _, name = spelled.partition("/")
    if not (kind and name):
        raise UnknownPartyError("entity", "must be TYPE/ID")
    if not is_accepted(settings, None):
        raise UnknownPartyError("entity", "the endpoint takes subjects by their tokens: use serviceAccount or user")
    _check_name("entity", kind, name)
    return Party(kind, name, keys.uid_of(ASSERTED, name), properties=fixture.properties, issuer=None)
