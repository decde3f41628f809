"""The SubjectRevocations of a cluster, and what an answer says of those whom they name.

Standing: beside `policysources`. Holds: where they cannot be read, an answer is that of the policies, and it says so.
"""

from collections.abc import Iterator

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.times import epoch_stamp
from bailiwick_engine import keys
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.revocations import PartyRevocation, Revocations, parse
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.display import counted, talk
from bailiwick_governance.errors import ApiError
from bailiwick_kube.paths import revocations_path
from bailiwick_regions.rights.answers import AccessAnswer
from bailiwick_regions.rights.refusals import SubjectRefusal


def read_revocations(cluster: ClusterClient | None) -> Revocations:
    """Return those that are in force. Policies of files and of a log have none (`cluster` None)."""
    found = Revocations()
    if cluster is None:
        return found
    try:
        items, _ = cluster.list_all(revocations_path())
    except ApiError as error:
        talk(f"note: SubjectRevocations are ignored, because they cannot be read: {error}")
        return found
    for raw in items:
        found.put(parse(raw))
    return found


def earlier_note(revocation: PartyRevocation) -> str:
    """Say which tokens a revocation refuses that does not refuse those of now."""
    before = epoch_stamp(revocation.issued_before)
    return f"SubjectRevocation {revocation.name} refuses tokens issued before {before}: this is about a newer one"


def refusal_notes(answer: AccessAnswer, revocations: Revocations) -> Iterator[str]:
    """Say whom of an answer revocations name, and how many name somebody who may be in it under another name."""
    refused: dict[str, list[str]] = {}
    for one in answer.refused:
        if one.whole:
            refused.setdefault(one.revocation.name, []).append(one.subject)
    for name, subjects in refused.items():
        yield f"SubjectRevocation {name} refuses {', '.join(subjects)}"
    yield from dict.fromkeys(earlier_note(one.revocation) for one in answer.refused if not one.whole)
    placed = {one.revocation.name for one in answer.refused}
    issuers = _issuers_of_people(answer)
    others = sum(1 for one in revocations if one.name not in placed and _may_name_person(one, issuers))
    if others:
        verb = "names" if others == 1 else "name"
        yield (
            f"{counted(others, 'SubjectRevocation')} {verb} people: it is not known here which members of a group, or"
            " which people by another name, are refused"
        )


def refused_object(one: SubjectRefusal) -> dict[str, str]:
    """Return what refuses somebody for JSON."""
    body = {"subject": one.subject, "revocation": one.revocation.name}
    return body if one.whole else {**body, "tokensBefore": epoch_stamp(one.revocation.issued_before)}


def _issuers_of_people(answer: AccessAnswer) -> frozenset[str]:
    listed = {key for row in answer.rows if row.way is not None for part in row.parts for key in part}
    spelled = [keys.key_parts(key) for key in listed]
    return frozenset(parts[1] for parts in spelled if parts[0] not in {SERVICE_ACCOUNT, "entity"})


def _may_name_person(revocation: PartyRevocation, issuers: frozenset[str]) -> bool:
    """Tell whether a revocation may be of a person of these issuers. The API server's names are those of any issuer."""
    if revocation.issuer != CLUSTER:
        return revocation.issuer in issuers
    return bool(issuers) and any(
        member == "username" and not value.startswith(SERVICE_ACCOUNT_PREFIX) for member, value in revocation.match
    )
