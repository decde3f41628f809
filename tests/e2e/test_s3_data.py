"""Case S3 told by data: the incident is an object that the incident tooling alone can write, and there is no grant."""

import json
from pathlib import Path
from typing import Final

from bailiwick_api.kinds.meta import API_VERSION, APPROVAL_GRANTS
from demo.narrator import Silent
from demo.pep import Pep
from demo.s3 import ROTATOR
from demo.stack import Stack
from localcluster.tokenrequest import Account
from support.waits import until

EXAMPLE: Final = "examples/secrets-by-data"
NAMESPACE: Final = "safe"
ACCOUNT: Final = Account("ops", "secret-rotator", ("safe-api.safe",), 600)
OPEN: Final = {"open": True, "secrets": {"db/primary": "INC-7"}}
CLOSED: Final = {"open": False, "secrets": {"db/primary": None}}
SECONDS: Final = 5


def test_the_incident_tooling_opens_and_closes_what_the_automation_reads(stack: Stack) -> None:
    files = [f"--filename={EXAMPLE}/{name}.yaml" for name in ("accounts", "data", "policy")]
    assert stack.kubectl("apply", "--server-side", *files)[0] == 0
    pep = Pep(stack, Silent(), "safe/safe-api", "safe-api")
    pep.await_policy()
    tooling = stack.keeper(Account("ops", "incident-bot"), stack.folder / "incident-tooling.token")
    automation = stack.keeper(Account("ops", "secret-rotator"), stack.folder / "automation.token")

    def reason(action: str, secret: str = "db/primary") -> str:
        token = stack.acting.token(ACCOUNT)
        said = pep.ask(("serviceAccount", ROTATOR), action, {"type": "secret", "id": secret}, {"subject_token": token})
        found: str = said["context"]["reason"]
        return found

    until(lambda: reason("secrets.read") == "condition_false", "the data is in force", SECONDS)
    assert reason("secrets.rotate") == "allowed"
    _patch(stack, tooling, OPEN)
    until(lambda: reason("secrets.read") == "allowed", "the incident is open", SECONDS)
    assert reason("secrets.read", "mail/relay") == "condition_false"
    # Who reads cannot open, and who opens can write nothing else.
    assert "forbidden" in _patch(stack, automation, OPEN, succeeds=False)
    for other in _others(stack):
        assert "forbidden" in _patch(stack, other, OPEN, succeeds=False)
        assert "forbidden" in _patch(stack, other, {}, succeeds=False, what="epol/rotator")
    assert "forbidden" in _patch(stack, tooling, {}, succeeds=False, what="epol/rotator")
    assert "forbidden" in _patch(stack, tooling, OPEN, succeeds=False, what="edata/another")
    _patch(stack, tooling, CLOSED)
    until(lambda: reason("secrets.read") == "condition_false", "the incident is closed", SECONDS)
    assert reason("secrets.rotate") == "allowed"
    grants = stack.cluster.rest().get(f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{APPROVAL_GRANTS}")
    assert grants.body["items"] == []
    waiting = ("wait", "--for=condition=Ready", "epol/rotator", "edata/incident-state", "--timeout=30s")
    assert stack.kubectl(*waiting, "--namespace", NAMESPACE)[0] == 0


def _others(stack: Stack) -> list[Path]:
    """Return the credentials of the secret store, which enforces, and of somebody who may look at everything here."""
    assert stack.kubectl("create", "serviceaccount", "auditor", "--namespace", "ops")[0] == 0
    bound = ("--clusterrole=bailiwick-view", "--serviceaccount=ops:auditor", "--namespace", NAMESPACE)
    assert stack.kubectl("create", "rolebinding", "auditors", *bound)[0] == 0
    store = stack.keeper(Account(NAMESPACE, "safe-api"), stack.folder / "store.token")
    auditor = stack.keeper(Account("ops", "auditor"), stack.folder / "auditor.token")
    reading = ("get", "edata/incident-state", "--namespace", NAMESPACE)
    until(lambda: stack.kubectl(*reading, kubeconfig=auditor)[0] == 0, "the auditor may look", SECONDS)
    return [store, auditor]


def _patch(
    stack: Stack, config: Path, data: object, *, succeeds: bool = True, what: str = "edata/incident-state"
) -> str:
    patch = json.dumps({"spec": {"data": data}})
    code, said = stack.kubectl(
        *("patch", what, "--namespace", NAMESPACE, "--type=merge", "--patch", patch), kubeconfig=config
    )
    assert (code == 0) is succeeds, said
    return said
