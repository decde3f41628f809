"""`who-can` and `what-can` of a cluster where somebody is taken back: nobody is told to do what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from bailiwick_api.times import epoch_stamp
from bailiwick_cli.commands import what_can, who_can
from bailiwick_cli.options import ReportOutput
from bailiwick_cli.sources.policysources import PolicySource, source_of
from bailiwick_cli.verbs.askverbs import AskFlags, WhatCanFlags, WhoCanFlags
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.errors import ApiError
from unit.cli.commands.test_checking_revocations import NOW, StoredRevocations

AGENT: Final = "system:serviceaccount:agents:agent"
SERVER: Final = "system:serviceaccount:shop:server"
GATEWAY: Final = "system:serviceaccount:shop:gateway"
POLICY: Final = """
apiVersion: bailiwick.dev/v1alpha1
kind: EndpointPolicy
metadata: {namespace: shop, name: agent}
spec:
  endpoint: tools
  endpointSettings:
    enforcers: [{namespace: shop, name: server}, {namespace: shop, name: gateway}]
    identity: {issuers: [cluster, corp]}
  subjects:
  - {name: agent, serviceAccount: {namespace: agents, name: agent}}
  - {name: staff, group: {issuer: corp, name: staff}}
  - {name: carol, user: {issuer: corp, name: carol}}
  rules:
  - {name: tools, effect: Allow, subjects: [agent, staff, carol], actions: [add], resources: [{type: tool, ids: ["*"]}]}
"""
ALL: Final = ["sa:agents/agent", "user:corp/carol", "group:corp/staff"]
NOBODY: Final[list[str]] = []
UNKNOWN: Final = "it is not known here which members of a group, or which people by another name, are refused"
EARLIER: Final = f"refuses tokens issued before {epoch_stamp(NOW - 3600)}: this is about a newer one"


def taken_back(name: str, *, issuer: str = "cluster", hold: bool = True, **match: str) -> dict[str, Any]:
    before = epoch_stamp(NOW - 3600)
    times = {"issuedBefore": before, "asOf": before, "until": epoch_stamp(NOW + 86_400)}
    spec = {"issuer": issuer, "match": match, "hold": hold, "cause": {"kind": "Person", "reason": "x"}, **times}
    return {"metadata": {"name": name}, "spec": spec}


Ask = Callable[..., tuple[int, dict[str, Any], list[str]]]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Asks a cluster that has the policy and these revocations. Returns exit code, document and notes."""
    (tmp_path / "policy.yaml").write_text(POLICY, encoding="utf-8")
    kept: list[PolicySource] = []

    def of_cluster(_: AskFlags) -> PolicySource:
        return kept[0]

    for command in (who_can, what_can):
        monkeypatch.setattr(command, "source_of", of_cluster)

    def run(cluster: Any, subject: str | None = None, output: ReportOutput = ReportOutput.JSON) -> Any:  # noqa: ANN401 - any stand-in
        given: dict[str, Any] = dict.fromkeys(("context", "kubeconfig", "as_user", "as_group", "request_timeout"))
        given |= {"namespace": None, "output": output}
        found = source_of(WhatCanFlags(subject="", file=[str(tmp_path / "policy.yaml")], **given))
        kept[:] = [replace(found, cluster=cast("ClusterClient", cluster), now=NOW)]
        if subject is None:
            code = who_can.run(WhoCanFlags(action="add", resource="tool/x", direct=True, **given))
        else:
            code = what_can.run(WhatCanFlags(subject=subject, **given))
        said = capsys.readouterr()
        body = json.loads(said.out) if output is ReportOutput.JSON else {"text": said.out}
        return code, body, [line.removeprefix("note: ") for line in said.err.splitlines()]

    return run


@pytest.mark.parametrize(
    ("stored", "subjects", "refused", "note"),
    [
        ([], ALL, [], ""),
        (
            [taken_back("r-a", username=AGENT)],
            ALL[1:],
            [("sa:agents/agent", "r-a")],
            "SubjectRevocation r-a refuses sa:agents/agent",
        ),
        (
            [taken_back("r-c", issuer="corp", sub="carol")],
            ["sa:agents/agent", "group:corp/staff"],
            [("user:corp/carol", "r-c")],
            "SubjectRevocation r-c refuses user:corp/carol",
        ),
        (
            [taken_back("r-p", issuer="corp")],
            ["sa:agents/agent"],
            [("user:corp/carol", "r-p"), ("group:corp/staff", "r-p")],
            "SubjectRevocation r-p refuses user:corp/carol, group:corp/staff",
        ),
        (
            [taken_back("r-s", sub=SERVER), taken_back("r-g", sub=GATEWAY)],
            NOBODY,
            [("the enforcer sa:shop/gateway", "r-g"), ("the enforcer sa:shop/server", "r-s")],
            "SubjectRevocation r-s refuses the enforcer sa:shop/server",
        ),
        (
            [taken_back("r-s", sub=SERVER)],
            ALL,
            [("the enforcer sa:shop/server", "r-s")],
            "SubjectRevocation r-s refuses the enforcer sa:shop/server",
        ),
        (
            [taken_back("r-a", hold=False, sub=AGENT)],
            ALL,
            [("sa:agents/agent", "r-a")],
            f"SubjectRevocation r-a {EARLIER}",
        ),
        ([taken_back("r-d", issuer="corp", sub="dave")], ALL, [], f"1 SubjectRevocation names people: {UNKNOWN}"),
        ([taken_back("r-d", username="oidc:dave")], ALL, [], f"1 SubjectRevocation names people: {UNKNOWN}"),
        ([taken_back("r-o", issuer="partner", sub="carol")], ALL, [], ""),
    ],
    ids=[
        "nobody",
        "the account",
        "the person",
        "everybody of the issuer",
        "both enforcers",
        "one enforcer",
        "earlier tokens of the account",
        "somebody whom no rule names",
        "somebody by the name of the API server",
        "somebody of another issuer",
    ],
)
def test_who_can_leaves_out_whom_a_revocation_refuses_and_names_it(
    ask: Ask, stored: list[dict[str, Any]], subjects: list[str], refused: list[tuple[str, str]], note: str
) -> None:
    code, body, notes = ask(StoredRevocations(*stored))
    allowed = [one["subject"] for one in body["answers"] if one["verdict"] == "allow"]
    assert sorted(allowed) == sorted(subjects)
    assert sorted((one["subject"], one["revocation"]) for one in body["refused"]) == sorted(refused)
    assert code == (0 if subjects else 1)
    assert note in notes if note else not any("SubjectRevocation" in one for one in notes)


@pytest.mark.parametrize(
    ("stored", "subject", "code"),
    [
        ([], "sa:agents/agent", 0),
        ([taken_back("r-a", username=AGENT)], "sa:agents/agent", 1),
        ([taken_back("r-a", username=AGENT)], "user:corp/carol", 0),
        ([taken_back("r-a", username=AGENT, hold=False)], "sa:agents/agent", 0),
        ([taken_back("r-c", issuer="corp", sub="carol")], "user:corp/carol", 1),
        ([taken_back("r-c", issuer="corp", sub="carol")], "group:corp/staff", 0),
        ([taken_back("r-p", issuer="corp")], "group:corp/staff", 1),
    ],
)
def test_what_can_is_nothing_for_whom_a_revocation_refuses(
    ask: Ask, stored: list[dict[str, Any]], subject: str, code: int
) -> None:
    ended, body, notes = ask(StoredRevocations(*stored), subject)
    assert (ended, bool(body["answers"])) == (code, not code)
    assert (
        f"SubjectRevocation {stored[0]['metadata']['name']} refuses {subject}" in notes if stored else False
    ) == bool(code)


def test_the_document_says_which_tokens_are_refused_where_newer_ones_are_not(ask: Ask) -> None:
    _, body, _ = ask(StoredRevocations(taken_back("r-a", hold=False, sub=AGENT)), "sa:agents/agent")
    one = {"subject": "sa:agents/agent", "revocation": "r-a", "tokensBefore": epoch_stamp(NOW - 3600)}
    assert body["refused"] == [one]


def test_who_may_not_read_revocations_gets_the_answer_of_the_policies_and_learns_that(ask: Ask) -> None:
    class Refusing:
        def list_all(self, _: str) -> None:
            raise ApiError("forbidden", 403)

    code, body, notes = ask(Refusing(), "sa:agents/agent")
    assert (code, len(body["answers"])) == (0, 1)
    assert notes[0] == "SubjectRevocations are ignored, because they cannot be read: forbidden"
