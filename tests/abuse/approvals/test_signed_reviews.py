"""Somebody writes a review as a reviewer who did not: by impersonation, by mutation, by an old file of keys.

Holds: the attacker is the administrator, and changes no guard. Where a step asks for a signature, a review counts only
with one by the reviewer's own enrolled key over this very review; three decision points know within a moment what a
registrar changes; and what nobody signed is found in the logs afterwards, by the registrar's public key alone.
"""

import copy
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP, REVIEWERS_CONFIG_MAP, REVIEWERS_SERIAL_ENTRY
from bailiwick_engine.signatures.registrars import Registrars, parse_registrars
from bailiwick_engine.signatures.sshsig import write_signature
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.audit.reviewfold import ReviewCode, ReviewFold, ReviewReport
from localcluster.people import ADMIN
from localcluster.rest import Answer, Rest
from support.events import await_event
from support.installation import accepted
from support.objects import Object, adding_review, gated_rule, rule
from support.pdp.oftenproven import PROOF_FLAGS
from support.pdp.processes import Bailiwick, await_ready
from support.pdp.tenant import OWNERS, PLENTY, Tenant
from support.signatures.keys import (
    INSTALLATION,
    ORIGIN,
    RP_ID,
    KeyFile,
    SecurityKey,
    config_map,
    entry_line,
    reviewers_text,
    statement_of,
)
from support.waits import until

SIGNED: Final = [{"name": "owner", "kind": "Human", "groups": [OWNERS], "signature": "Required"}]
RULES: Final = (
    rule("read", actions=["customers.list"]),
    gated_rule("export", actions=["customers.export"], approval={"steps": SIGNED, "maxUses": 5, "limits": PLENTY}),
)
# A change at the API server is known everywhere within a second; each of the three is asked in turn after that.
SOON: Final = 2.0
MUTATION: Final = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"


@dataclass
class Office:
    """A registrar, and what the file of reviewers' keys says at present. Each `publish` has a higher serial."""

    ours: Bailiwick
    registrar: KeyFile
    serial: int = 0

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.ours.installation.namespace}/configmaps/{REVIEWERS_CONFIG_MAP}"

    def publish(self, *lines: str, by: KeyFile | None = None) -> Object:
        self.serial += 1
        stored = config_map(reviewers_text(*lines, serial=self.serial), by or self.registrar)
        self.apply(stored)
        return stored

    def apply(self, stored: Object) -> None:
        accepted(self.ours.callers.admin.patch(self.path, stored, "merge"))

    def recorded(self) -> str:
        path = f"/api/v1/namespaces/{self.ours.installation.namespace}/configmaps/{GUARD_CONFIG_MAP}"
        found: str = accepted(self.ours.callers.admin.get(path))["data"].get(REVIEWERS_SERIAL_ENTRY, "")
        return found


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> tuple[KeyFile, tuple[str, ...]]:
    """The registrar, and what both processes are told of them."""
    registrar = KeyFile.make(tmp_path_factory.mktemp("registrar") / "key")
    file = registrar.path.with_name("registrars.pub")
    file.write_text(f"# one registrar\n{registrar.line}\n", encoding="utf-8")
    return registrar, (
        "--registrar-keys",
        str(file),
        "--reviewers-installation",
        INSTALLATION,
        "--passkey-origin",
        ORIGIN,
    )


@pytest.fixture(scope="module")
def ours(flags: tuple[KeyFile, tuple[str, ...]]) -> Iterator[Bailiwick]:
    """An operator and three decision points that have a registrar; the operator proves often."""
    with ExitStack() as closing:
        ours = Bailiwick.begin(closing, replicas=0)
        ours.stop_operator()
        ours.operator = ours.stack.start_operator(*PROOF_FLAGS, *flags[1])
        for _ in range(3):
            ours.stack.start_decision_point(*flags[1], await_ready=False)
        for point in ours.stack.decision_points:
            await_ready(point)
        yield ours


@pytest.fixture(scope="module")
def office(ours: Bailiwick, flags: tuple[KeyFile, tuple[str, ...]]) -> Office:
    return Office(ours, flags[0])


@pytest.fixture(scope="module")
def tenant(ours: Bailiwick) -> Tenant:
    return ours.tenants(*ours.stack.decision_points).make("signed", list(RULES))


CAROLS: Final = SecurityKey.make(RP_ID)
DAVES: Final = SecurityKey.make(ed25519=True)


@pytest.fixture
def enrolled(office: Office) -> Office:
    """Carol's passkey and Dave's security key are enrolled, and the operator has read so."""
    office.publish(*LINES)
    until(lambda: office.recorded().startswith(f"{office.serial} "), "the operator has read the file", 20)
    return office


LINES: Final = (entry_line("carol", CAROLS.public), entry_line("dave", DAVES.public))


def entry(stored: Object, reviewer: str = "carol", **fields: Any) -> Object:  # noqa: ANN401 - any field
    request = stored["spec"]["request"]
    found = {
        "reviewer": reviewer,
        "step": request["steps"][0]["name"],
        "group": OWNERS,
        "decision": "Approve",
        "binding": request["binding"]["digest"],
        **fields,
    }
    return {name: held for name, held in found.items() if held is not None}


def signed(stored: Object, key: SecurityKey = CAROLS, **fields: Any) -> Object:  # noqa: ANN401 - any field
    """Return a review, signed with a key."""
    review = entry(stored, **fields)
    statement = statement_of(stored, review)
    made = key.assertion(statement) if key.application == RP_ID else key.sign(statement)
    return {**review, "signature": write_signature(made)}


def write(client: Rest, stored: Object, review: Object) -> Answer:
    return client.patch(stored, adding_review(review), "json")


@contextmanager
def as_carol(tenant: Tenant) -> Iterator[Rest]:
    """Call as the administrator who says that they are Carol, with her groups."""
    login = tenant.callers(ADMIN).login
    headers = {"Impersonate-User": ("carol",), "Impersonate-Group": (OWNERS,)}
    client = Rest(type(login)(login.server, login.authority, token=login.token, acting_as=headers))
    try:
        yield client
    finally:
        client.close()


def reason_at(tenant: Tenant, point: int, resource: str) -> str | None:
    return tenant.ask_itself("customers.export", resource, point=point).reason


def known_everywhere(tenant: Tenant, resource: str, reason: str, seconds: float = 15) -> None:
    points = range(len(tenant.points))
    until(lambda: all(reason_at(tenant, point, resource) == reason for point in points), f"each says {reason}", seconds)


def approved(tenant: Tenant, resource: str) -> str:
    """Have an export approved with Carol's passkey, and wait until each decision point would let it through."""
    name = tenant.opened("customers.export", resource)
    stored = tenant.grant(name)
    accepted(write(tenant.callers("carol"), stored, signed(stored)))
    until(lambda: tenant.phase(name) == "Active", f"{name} is active", 20)
    tenant.await_known(lambda said: said.decision is True, "customers.export", resource)
    return name


def voided(tenant: Tenant, name: str) -> str:
    """Wait until the review of a grant is void; return why."""
    until(lambda: tenant.grant(name).get("status", {}).get("voided"), f"the review of {name} is void", 20)
    status = tenant.grant(name)["status"]
    assert status["phase"] == "Pending"
    assert "counted" not in status
    (only,) = status["voided"]
    return str(only["message"])


@pytest.mark.invariant(30)
def test_a_review_that_is_signed_with_ones_own_key_lets_the_call_through(tenant: Tenant, enrolled: Office) -> None:
    name = approved(tenant, "honest")
    assert tenant.ask("customers.export", "honest").decision is True
    assert tenant.uses(name) == 1


@pytest.mark.invariant(3, 30)
def test_a_review_by_impersonation_is_refused_without_a_signature(tenant: Tenant, enrolled: Office) -> None:
    stored = tenant.grant(tenant.opened("customers.export", "bare"))
    with as_carol(tenant) as client:
        answer = write(client, stored, entry(stored))
    assert answer.status == 422
    assert "approve this step with a signature" in answer.message


@pytest.mark.invariant(3, 30)
@pytest.mark.parametrize("whose", ["Dave's key", "a key of the administrator", "no key at all"])
def test_a_review_by_impersonation_does_not_count_with_anothers_signature(
    tenant: Tenant, enrolled: Office, whose: str
) -> None:
    stored = tenant.grant(tenant.opened("customers.export", f"forged-{whose[:3]}{len(whose)}"))
    forged = {
        "Dave's key": signed(stored, DAVES),
        "a key of the administrator": signed(stored, SecurityKey.make(RP_ID)),
        "no key at all": {**entry(stored), "signature": "-----BEGIN SSH SIGNATURE-----"},
    }[whose]
    with as_carol(tenant) as client:
        accepted(write(client, stored, forged))
    message = voided(tenant, stored["metadata"]["name"])
    assert ("cannot be read" if whose == "no key at all" else "is not enrolled for carol") in message
    assert "request a new grant" in message
    uid = stored["metadata"]["uid"]
    event = await_event(
        tenant.callers.admin, tenant.namespace, "SignatureRefused", lambda event: event["regarding"].get("uid") == uid
    )
    assert "the review by carol does not count" in event["note"]


@pytest.mark.invariant(7, 30)
@pytest.mark.parametrize("other", ["grant", "step", "decision", "reason", "request", "group"])
def test_carols_signature_over_another_review_does_not_count(tenant: Tenant, enrolled: Office, other: str) -> None:
    stored = tenant.grant(tenant.opened("customers.export", f"replayed-{other}"))
    elsewhere, review = copy.deepcopy(stored), entry(stored, reason="as agreed")
    said = copy.deepcopy(review)
    if other == "grant":
        elsewhere = tenant.grant(tenant.opened("customers.export", "replayed-from"))
    elif other == "request":
        elsewhere["spec"]["request"]["resource"]["id"] = "less"
    else:
        said[other] = {"step": f"{said['step']}x", "decision": "Deny", "reason": "never"}.get(other, "sec-oncall")
    forged = {**review, "signature": write_signature(CAROLS.assertion(statement_of(elsewhere, said)))}
    with as_carol(tenant) as client:
        accepted(write(client, stored, forged))
    assert "over something else" in voided(tenant, stored["metadata"]["name"])
    assert tenant.ask("customers.export", f"replayed-{other}").decision is False


@pytest.mark.invariant(30)
def test_a_deny_that_is_mutated_into_an_approve_does_not_count(tenant: Tenant, enrolled: Office) -> None:
    """An administrator's mutation runs before the guards: it can add an old signature, but it can make none."""
    old = tenant.grant(tenant.opened("customers.export", "approved-before"))
    signature = signed(old)["signature"]
    first, second = (tenant.grant(tenant.opened("customers.export", f"mutated-{number}")) for number in range(2))
    for stored, added in ((first, ""), (second, signature)):
        mark = "signed" if added else "bare"
        with mutating(tenant, mark, added):
            until(lambda: marks(tenant) == {mark}, "this mutation is in force, and no other")  # noqa: B023 - asked at once
            answer = write(tenant.callers("carol"), stored, entry(stored, decision="Deny"))
        name = stored["metadata"]["name"]
        if added:
            accepted(answer)
            assert tenant.grant(name)["spec"]["reviews"][0]["decision"] == "Approve"
            assert "over something else" in voided(tenant, name)
        else:
            assert "approve this step with a signature" in answer.message


@contextmanager
def mutating(tenant: Tenant, mark: str, signature: str) -> Iterator[None]:
    """Turn each review into an approval, with this signature, and mark each ConfigMap called `mutated`."""
    admin, name = tenant.callers.admin, f"turns-deny-into-approve-{mark}"
    added = f", signature: {signature!r}".replace("'", '"') if signature else ""
    expression = (
        "has(object.spec) ? Object{spec: Object.spec{reviews: object.spec.reviews.map(r, Object.spec.reviews{reviewer:"
        f' r.reviewer, step: r.step, group: r.group, binding: r.binding, decision: "Approve"{added}}})}}}}'
        f' : Object{{data: {{"{mark}": "yes"}}}}'
    )
    patch = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    grants = {"apiGroups": ["bailiwick.dev"], "apiVersions": ["*"], "operations": ["UPDATE"]}
    maps = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{**grants, "resources": ["approvalgrants"]}, maps]},
            "matchConditions": [
                {
                    "name": "ours",
                    "expression": f"request.namespace == '{tenant.namespace}' && (request.resource.resource =="
                    " 'approvalgrants' ? has(object.spec.reviews) : object.metadata.name == 'mutated')",
                }
            ],
            "reinvocationPolicy": "Never",
            "failurePolicy": "Fail",
            "mutations": [patch],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name},
    }
    accepted(admin.create(policy))
    accepted(admin.create(binding))
    try:
        yield
    finally:
        admin.delete(f"{MUTATION.removesuffix('ies')}ybindings/{name}")
        admin.delete(f"{MUTATION}/{name}")


def marks(tenant: Tenant) -> set[str]:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": tenant.namespace, "name": "mutated"}}
    answer = tenant.callers.admin.create(body, dry_run=True)
    return set(answer.body.get("data") or ()) if answer.ok else set()


@pytest.mark.invariant(30)
def test_a_removed_key_is_unusable_at_three_decision_points_within_a_moment(tenant: Tenant, enrolled: Office) -> None:
    name = approved(tenant, "removed")
    assert tenant.ask("customers.export", "removed").decision is True
    enrolled.publish(LINES[1])
    began = time.monotonic()
    known_everywhere(tenant, "removed", "approval_unverifiable", SOON)
    assert time.monotonic() - began < SOON
    for point in range(3):
        said = tenant.ask("customers.export", "removed", point=point)
        assert (said.decision, said.reason) == (False, "approval_unverifiable")
    assert tenant.uses(name) == 1


@pytest.mark.invariant(30)
def test_an_older_file_that_is_put_back_gives_no_key_anywhere(
    tenant: Tenant, enrolled: Office, flags: tuple[KeyFile, tuple[str, ...]], ours: Bailiwick
) -> None:
    approved(tenant, "set-back")
    old = config_map(reviewers_text(*LINES, serial=enrolled.serial), enrolled.registrar)
    enrolled.publish(LINES[1])
    until(lambda: enrolled.recorded().startswith(f"{enrolled.serial} "), "the operator has read the file", 20)
    enrolled.apply(old)
    known_everywhere(tenant, "set-back", "approval_unverifiable")
    # A decision point that has never seen the newer file knows of it by what the operator recorded.
    fresh = ours.start_point(*flags[1])
    late = Tenant(tenant.cluster, tenant.callers, tenant.namespace, [fresh.url])
    late.await_known(lambda said: said.reason == "approval_unverifiable", "customers.export", "set-back")
    waits(tenant, "set-back-waits", "but")


def waits(tenant: Tenant, resource: str, why: str) -> str:
    """Have Carol sign a review while no key counts: it is neither counted nor void. Returns the name of the grant."""
    name = tenant.opened("customers.export", resource)
    stored = tenant.grant(name)
    accepted(write(tenant.callers("carol"), stored, signed(stored)))

    def said() -> str:
        conditions = tenant.grant(name).get("status", {}).get("conditions", ())
        return next((str(one["message"]) for one in conditions if one["type"] == "Ready"), "")

    until(lambda: "signed reviews wait" in said(), "the operator says that the review waits", 20)
    assert why in said()
    status = tenant.grant(name)["status"]
    assert status["phase"] == "Pending"
    assert not {"counted", "voided"} & set(status)
    return name


@pytest.mark.invariant(30)
def test_a_file_that_no_registrar_signed_gives_no_key_and_reviews_wait_for_one_that_one_did(
    tenant: Tenant, enrolled: Office, tmp_path: Path
) -> None:
    approved(tenant, "replaced")
    attackers = SecurityKey.make(RP_ID)
    enrolled.publish(entry_line("carol", attackers.public), by=KeyFile.make(tmp_path / "attacker"))
    known_everywhere(tenant, "replaced", "approval_unverifiable")
    name = waits(tenant, "replaced-waits", "registrars who signed it: 0")
    enrolled.publish(*LINES)
    until(lambda: tenant.phase(name) == "Active", "the review counts", 40)
    tenant.await_known(lambda said: said.decision is True, "customers.export", "replaced")


@pytest.mark.invariant(30)
def test_the_logs_prove_each_signature_by_the_registrars_public_key_alone(
    tenant: Tenant, enrolled: Office, ours: Bailiwick, tmp_path: Path
) -> None:
    approved(tenant, "proven")
    assert tenant.ask("customers.export", "proven").decision is True
    files = [point.records for point in ours.stack.decision_points] + [ours.stack.ledger()]
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    found = fold(lines, enrolled.registrar)
    assert (found.findings, found.left_out) == ((), 0)
    assert found.reviews > 0
    assert found.files >= enrolled.serial - 2
    stranger = fold(lines, KeyFile.make(tmp_path / "stranger"))
    assert {one.code for one in stranger.findings} == {ReviewCode.UNENROLLED}


def fold(lines: list[bytes], registrar: KeyFile) -> ReviewReport:
    audit, found = LogAudit(WitnessBook(())), ReviewFold(Registrars(parse_registrars(registrar.line), 1, None))
    for line in [*audit.feed(b"\n".join(lines) + b"\n"), *audit.end()]:
        found.add(line)
    return found.report({})
