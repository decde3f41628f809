"""`check` of a subject that was taken back: it refuses what the decision point refuses of a token of that moment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import pytest

from bailiwick_api.times import epoch_stamp
from bailiwick_cli.commands import check
from bailiwick_cli.sources.revocations import read_revocations
from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT
from bailiwick_engine.revocations import Revocations, parse
from bailiwick_governance.apiserver.cluster import ClusterClient
from bailiwick_governance.sources import policies
from bailiwick_regions.rights.refusals import TokenRefusals

NOW: Final = 1_800_000_000.0
AGENT: Final = "system:serviceaccount:agents:agent"
SERVER: Final = "system:serviceaccount:shop:server"
POLICY: Final = """
apiVersion: bailiwick.dev/v1alpha1
kind: EndpointPolicy
metadata: {namespace: shop, name: agent}
spec:
  endpoint: tools
  endpointSettings:
    enforcers: [{namespace: shop, name: server}]
    identity: {verification: %s}
  subjects: [{name: agent, serviceAccount: {namespace: agents, name: agent}}]
  rules: [{name: tools, effect: Allow, subjects: [agent], actions: [add], resources: [{type: tool, ids: ["*"]}]}]
"""


def revocation(who: str, before: float, *, hold: bool = False) -> dict[str, Any]:
    spec = {"issuer": "cluster", "match": {"username": who}, "hold": hold, "cause": {"kind": "Person", "reason": "x"}}
    times = {"issuedBefore": before, "asOf": before, "until": NOW + 86_400}
    return {"metadata": {"name": "r-x"}, "spec": {**spec, **{name: epoch_stamp(at) for name, at in times.items()}}}


class StoredRevocations:
    def __init__(self, *stored: Mapping[str, Any]) -> None:
        self._stored = stored

    def list_all(self, _: str) -> tuple[list[Mapping[str, Any]], None]:
        return [*self._stored], None


TAKEN_BACK: Final = {
    "the subject, a while ago": revocation(AGENT, NOW - 3600),
    "the subject, from a moment to come": revocation(AGENT, NOW + 600),
    "the subject, held": revocation(AGENT, NOW - 3600, hold=True),
    "the enforcer": revocation(SERVER, NOW - 3600),
    "somebody else": revocation("system:serviceaccount:agents:other", NOW - 3600, hold=True),
}


@pytest.mark.parametrize("verification", ["Token", "Asserted"])
@pytest.mark.parametrize("who", TAKEN_BACK)
def test_it_refuses_what_the_decision_point_refuses_of_a_token_of_now(
    who: str, verification: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY % verification)
    snapshot, namespace = policies.compile_files([str(file)], None)
    name, endpoint = policies.endpoint(snapshot, namespace, None)
    asserted = verification == "Asserted"
    issuer = None if asserted else CLUSTER

    def asked(subject: Party, revocations: Revocations) -> str:
        call = Call(namespace, name, ServiceAccount(SERVER, ""), subject, Action("add"), Resource("tool", "x"), {})
        return str(decide(snapshot, call, (), Circumstances(now=NOW, revocations=revocations)).reason)

    stored = Revocations()
    stored.put(parse(TAKEN_BACK[who]))
    shown = Party(SERVICE_ACCOUNT, AGENT, "u", {} if asserted else {"iat": NOW}, issuer=issuer)
    named = Party(SERVICE_ACCOUNT, AGENT, "", issuer=issuer, hypothetical=not asserted)
    cluster = cast("ClusterClient", StoredRevocations(TAKEN_BACK[who]))
    found = check.revocations_of(TokenRefusals(endpoint, read_revocations(cluster), NOW), named)
    assert asked(named, found) == asked(shown, stored)
    assert ("r-x" in capsys.readouterr().err) is (who != "somebody else")
