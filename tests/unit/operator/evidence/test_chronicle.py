"""What the ledger says beside checkpoints, once each: policies by digest, modes, ended grants, keys and guards."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bailiwick_engine.compile.policies import parse_steps
from bailiwick_engine.compile.policydigest import policy_digest
from bailiwick_engine.steps import whole
from bailiwick_operator.evidence.chronicle import Chronicle
from bailiwick_operator.evidence.ledger import OperatorLedger
from support.objects import Object, policy, settings
from support.revocations import manifest
from unit.operator.cases import grant, right_clock


class Told:
    """A chronicle and what stands in its ledger."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        ledger = OperatorLedger("bailiwick-system", self._take, right_clock().now)
        self.chronicle = Chronicle(ledger)

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]

    def _take(self, held: bytes) -> int:
        self.lines += map(json.loads, held.splitlines())
        return len(held)


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    told = Told()
    running = asyncio.create_task(told.chronicle.run())
    yield told
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def stored(generation: int = 1, uid: str = "p", **spec: Any) -> Object:  # noqa: ANN401 - fields of a spec
    body = policy("crm", **spec)
    body["metadata"] |= {"uid": uid, "generation": generation}
    return body


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_a_subject_that_is_taken_back_is_told_once_and_so_is_its_end(told: Told) -> None:
    body = manifest(sub="system:serviceaccount:agents:crm-agent")
    body["metadata"] |= {"uid": "u", "generation": 1}
    later = {**body, "metadata": {**body["metadata"], "generation": 2}, "spec": {**body["spec"], "hold": True}}
    for one in (body, body, later):
        told.chronicle.revocation_changed(one, gone=False, early=False)
    told.chronicle.revocation_changed(later, gone=True, early=True)
    lines = told.said("revocation")
    states = [(line["state"], line["hold"], line.get("early")) for line in lines]
    assert states == [("in force", False, None), ("in force", True, None), ("ended", True, True)]
    for name in ("issuer", "match", "issuedBefore", "asOf", "until", "cause"):
        assert all(line[name] == body["spec"][name] for line in lines)
    assert {(line["name"], line["uid"]) for line in lines} == {(body["metadata"]["name"], "u")}


async def test_the_text_of_a_policy_is_what_its_digest_is_of(told: Told) -> None:
    body = stored(endpointSettings=settings())
    told.chronicle.policy_changed(body, gone=False)
    await settled()
    (line,) = told.said("policy")
    spec = whole(parse_steps(body["spec"]))
    assert not isinstance(spec, tuple)
    assert line["digest"] == whole(policy_digest(spec)) == f"sha256:{hashlib.sha256(line['text'].encode()).hexdigest()}"
    assert (line["policy"], line["uid"], line["generation"]) == ("crm/crm-agent", "p", 1)


async def test_a_digest_is_printed_once_however_many_policies_and_statuses_have_it(told: Told) -> None:
    told.chronicle.policy_changed(stored(), gone=False)
    told.chronicle.policy_changed(stored() | {"status": {"digest": "x"}}, gone=False)
    told.chronicle.policy_changed(stored(uid="q"), gone=False)
    await settled()
    assert len(told.said("policy")) == 1
    told.chronicle.policy_changed(stored(2, suspend=True), gone=False)
    await settled()
    assert len(told.said("policy")) == 2


async def test_a_policy_that_does_not_parse_has_no_text_and_holds_up_no_other(told: Told) -> None:
    told.chronicle.policy_changed(stored(rules="nonsense"), gone=False)
    told.chronicle.policy_changed(stored(uid="q"), gone=False)
    await settled()
    assert [line["uid"] for line in told.said("policy")] == ["q"]


async def test_a_change_of_mode_and_the_end_of_a_policy_are_told(told: Told) -> None:
    told.chronicle.policy_changed(stored(), gone=False)
    told.chronicle.policy_changed(stored(2, mode="Audit"), gone=False)
    told.chronicle.policy_changed(stored(3, mode="Audit", suspend=True), gone=False)
    told.chronicle.policy_changed(stored(3), gone=True)
    enforce, audit = {"mode": "Enforce", "suspend": False}, {"mode": "Audit", "suspend": False}
    suspended = {"mode": "Audit", "suspend": True}
    first, second, last = told.said("mode")
    assert (first["was"], {name: first[name] for name in enforce}) == (enforce, audit)
    assert (second["was"], second["suspend"]) == (audit, True)
    assert (last["was"], last["deleted"]) == (suspended, True)


async def test_a_grant_that_ended_is_told_once_without_what_people_were_shown(told: Told) -> None:
    body = grant()
    body["spec"]["request"] |= {
        "display": [{"name": "amount", "value": "12000"}],
        "reason": "my own words",
        "resource": {"type": "customer", "id": "42", "properties": {"iban": "secret"}},
    }
    body["spec"]["reviews"] = [{"reviewer": "dave", "decision": "Deny", "step": "s", "binding": "b", "reason": "mine"}]
    told.chronicle.grant_changed(body, gone=False)
    assert told.said("grant") == []
    ended = body | {"status": {"phase": "Denied", "uses": 0}}
    told.chronicle.grant_changed(ended, gone=False)
    told.chronicle.grant_changed(ended, gone=False)
    told.chronicle.grant_changed(ended, gone=True)
    (line,) = told.said("grant")
    assert (line["uid"], line["phase"], line["uses"]) == (body["metadata"]["uid"], "Denied", 0)
    assert line["reviews"] == [{"reviewer": "dave", "step": "s", "decision": "Deny", "binding": "b"}]
    text = json.dumps(line)
    assert not [word for word in ("12000", "my own words", "secret", "mine") if word in text]


async def test_a_grant_that_somebody_deleted_before_it_ended_is_told(told: Told) -> None:
    told.chronicle.grant_changed(grant(), gone=True)
    (line,) = told.said("grant")
    assert line["deleted"] is True


async def test_a_grant_names_the_policies_by_the_digest_that_they_have_then(told: Told) -> None:
    body = grant()
    uid = body["spec"]["request"]["rules"][0]["uid"]
    told.chronicle.policy_changed(stored(uid=uid), gone=False)
    await settled()
    told.chronicle.grant_changed(body | {"status": {"phase": "Expired"}}, gone=False)
    (line,) = told.said("grant")
    assert line["rules"][0]["policyDigest"] == told.said("policy")[0]["digest"]


async def test_a_grant_that_cannot_be_read_is_told_all_the_same(told: Told) -> None:
    body = grant()
    told.chronicle.grant_changed({"metadata": body["metadata"], "spec": 5, "status": {"phase": "Denied"}}, gone=False)
    (line,) = told.said("grant")
    assert (line["uid"], line["phase"]) == (body["metadata"]["uid"], "Denied")


async def test_keys_are_told_by_thumbprint_and_guards_when_they_are_others(told: Told) -> None:
    told.chronicle.keys_changed({"b", "a"}, {"c"})
    for fingerprint in ("one", "one", "two"):
        told.chronicle.guard_recorded(fingerprint)
    (keys,) = told.said("keys")
    assert (keys["published"], keys["removed"]) == (["a", "b"], ["c"])
    assert [(line["fingerprint"], line["was"]) for line in told.said("guard")] == [("one", None), ("two", "one")]
