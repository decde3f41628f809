"""A candidate that stands beside a policy is nothing to the records of what the policy decides."""

import json

from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.derive.derivation import DerivationClass
from bailiwick_evidence.derive.derive import derive
from bailiwick_webhook.record.line import RecordLines
from support.derivations import texts_of
from support.objects import policy, rule, settings
from support.records import lines_of
from unit.engine.cases import CALL, NOW


def test_a_record_beside_a_candidate_derives_from_the_policies_that_decided() -> None:
    live = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule(actions=[CALL.action.name])])
    denying = [rule(actions=[CALL.action.name], effect="Deny")]
    candidate = policy("crm", "next", mode="Audit", replaces="crm-agent", endpointSettings=settings(), rules=denying)
    for raw in (live, candidate):
        raw["metadata"] |= {"uid": raw["metadata"]["name"], "generation": 1}
    snapshot = Snapshot.of([compile_object(raw) for raw in (live, candidate)])
    assert [len(endpoint.shadows) for endpoint in snapshot.endpoints.values()] == [1]
    verdict = decide(snapshot, CALL, (), Circumstances(NOW))
    (line,) = lines_of(RecordLines(b"k" * 32), snapshot, CALL, verdict, now=NOW)
    record = json.loads(line)
    assert (record["decision"], list(record["policies"])) == (True, ["crm-agent"])
    assert derive(record, texts_of([live["spec"]])).kind is DerivationClass.DERIVED
