"""Nobody in a test file is taken for somebody whom its endpoint could not have proven."""

from pathlib import Path
from typing import Final

import pytest

from support.objects import Object, policy, settings
from support.suites import run_tests, written
from unit.cli.policytest.test_what_cannot_be_run import BESIDE, HEAD, TESTS

ASSERTED: Final = {**settings(), "identity": {"verification": "Asserted"}}
CORP: Final = {**settings(), "identity": {"issuers": ["cluster", "corp"]}}
AUTHZEN: Final = '{"evaluation": [{"request": {"subject": {"type": "%s", "id": "%s"}, "action": {"name": "a"}, %s'
THERE: Final = '"resource": {"type": "t", "id": "i"}}, "expected": false}]}'


@pytest.mark.parametrize(
    ("made", "spelled", "said"),
    [
        (CORP, "user: alice", "subjects.agent.user: must be ISSUER/NAME"),
        (CORP, "user: '@corp'", "subjects.agent.user: must be ISSUER/NAME"),
        (CORP, "user: corp/", "subjects.agent.user: must be ISSUER/NAME"),
        (CORP, "user: other/alice", "subjects.agent.user: the endpoint does not accept the issuer other"),
        (CORP, "user: other/alice@elsewhere", "subjects.agent.user: the endpoint does not accept the issuer elsewhere"),
        (
            CORP,
            "user: corp/alice@corp",
            "subjects.agent.user: can be read as user:corp/alice@corp and user:corp/corp/alice",
        ),
        (CORP, "user: alice@corp, groups: ['other:x']", "subjects.agent.groups[0]: must be corp/NAME"),
        (CORP, "user: corp/alice, groups: [corp]", "subjects.agent.groups[0]: must be corp/NAME"),
        (CORP, "user: corp/alice, groups: [corp/]", "subjects.agent.groups[0]: must be corp/NAME"),
        (CORP, "user: alice@corp, workload: {images: [a]}", "subjects.agent.workload: only a serviceAccount"),
        (ASSERTED, "user: alice@corp", "the endpoint takes subjects on the enforcer's word: use entity"),
        (CORP, "user: 'corp/system:masters'", "subjects.agent.user: system:masters begins with system:"),
        (ASSERTED, "entity: 'user/system:masters'", "subjects.agent.entity: system:masters begins with system:"),
        (ASSERTED, "entity: alice", "subjects.agent.entity: must be TYPE/ID"),
        (
            CORP,
            "serviceAccount: agents/crm-agent, actors: [{serviceAccount: agents/other}]",
            "subjects.agent.actors[0]: no policy of crm/crm-api names this subject",
        ),
    ],
)
def test_a_party_that_the_endpoint_could_not_have_proven_is_told(
    tmp_path: Path, made: Object, spelled: str, said: str
) -> None:
    text = HEAD.replace("serviceAccount: agents/crm-agent", spelled) + TESTS
    written(tmp_path, {"policy.yaml": policy("crm", endpointSettings=made), "a_test.yaml": text})
    ran = run_tests(tmp_path / "a_test.yaml")
    assert (ran.code, said in ran.err) == (2, True), ran


@pytest.mark.parametrize(
    ("cases", "said"),
    [
        (AUTHZEN % ("user", "alice", THERE), "subject.id: the endpoint takes subjects by their tokens"),
        (AUTHZEN % ("serviceAccount", "alice", THERE), "type must be serviceAccount, and id a username"),
        (
            AUTHZEN
            % (
                "serviceAccount",
                "system:serviceaccount:agents:crm-agent",
                THERE.replace("}}, ", '}, "context": {"approval": {}}}, ', 1),
            ),
            "context.approval: is not part of a call",
        ),
        ("{}", "there is no case"),
        ("", "one JSON object of AuthZEN cases is expected"),
    ],
)
def test_cases_that_cannot_be_asked_are_told(tmp_path: Path, cases: str, said: str) -> None:
    written(tmp_path, {**BESIDE, "cases.json": cases, "a_test.yaml": HEAD + "include: [cases.json]"})
    ran = run_tests(tmp_path / "a_test.yaml")
    assert (ran.code, said in ran.err) == (2, True), ran
