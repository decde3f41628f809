"""What the pages of the examples tell somebody to type does what they say, in front of the CRM API that runs here."""

from functools import partial
from typing import Final

import pytest

from bailiwick_api.accounts import Installation
from demo.stack import Stack
from localcluster.rest import Rest
from support.pages import script
from support.shell import Shell, succeeded
from support.waits import until

pytestmark = pytest.mark.long

PAGE: Final = "../examples/crm/README.md"
SECRETS: Final = "../examples/secrets/README.md"
APPROVALS: Final = "how-to/approvals.md"


def test_the_page_of_the_example_comes_to_an_export_that_works_once(stack: Stack) -> None:
    shell = Shell(stack.cluster, PAGE)
    here = {"http://localhost:8000": stack.crm_url}
    # Each block is a shell of its own here; a reader's has what the ones before it set.
    asked = succeeded(shell.run("AGENT=", **here, **{"jq -r .task.id)": 'jq -r .task.id)\necho; echo "$AGENT $TASK"'}))
    listed_and_denied, agent_and_task = asked.splitlines()
    agent, task = agent_and_task.split()
    assert "Harbour Mills" in listed_and_denied
    assert '"reason": "approval_required"' in listed_and_denied
    known = f"AGENT={agent} TASK={task}\n"
    name = task.partition(".")[0]
    grant = f"/apis/bailiwick.dev/v1alpha1/namespaces/crm/approvalgrants/{name}"
    admin: Rest = stack.cluster.rest()
    until(lambda: "phase" in admin.get(grant).body.get("status", {}), f"{name} was seen")
    binding = admin.get(grant).body["spec"]["request"]["binding"]["digest"]
    noticed = f'"seen with the customer" --yes --binding {binding}'
    looked = {"kubectl bailiwick list": f"{known}kubectl bailiwick list", '"seen with the customer"': noticed}
    assert name in succeeded(shell.run("kubectl bailiwick list", "carol", **looked))
    until(lambda: admin.get(grant).body.get("status", {}).get("phase") == "Active", f"{name} is active")
    used = {**here, "APPROVAL=": f"{known}APPROVAL="}
    assert succeeded(shell.run("APPROVAL=", **used)) == '{"name": "Harbour Mills"}'
    assert '"reason": "approval_consumed"' in succeeded(shell.run("APPROVAL=", **used))


def test_the_page_names_the_decision_point_by_what_its_certificate_is_for() -> None:
    own = Installation()
    starting = script(PAGE, "kubectl apply --server-side")
    assert f"--pdp-name {own.webhook_name}.{own.namespace}.svc\n" in starting
    assert f"-n {own.namespace} service/{own.webhook_name} 8443:443" in starting


def test_the_page_starts_the_mcp_server_as_it_starts_the_api() -> None:
    api = script(PAGE, "kubectl apply --server-side")
    assert api.endswith(script(PAGE, ".venv/bin/python examples/crm/crm_mcp.py").replace("crm_mcp", "crm_api"))


def test_the_page_of_secrets_reads_while_the_incident_is_recorded(stack: Stack) -> None:
    blocks = [script(SECRETS, one) for one in ("kubectl apply --server-side", "GRANT=", "kubectl bailiwick revoke")]
    reading = "kubectl bailiwick check secrets.read secret/db/main -n vault --subject sa:ops/secret-rotator"
    typed = "\n".join([*blocks, f"{reading} || true"])
    assert typed.count("secret/db/") >= 3
    # The case S3 is about the page's secrets, in the same cluster: what is revoked here must not stand there.
    said = succeeded(Shell(stack.cluster, SECRETS).type(typed.replace("secret/db/", "secret/ledger/")))
    recorded, _, over = said.partition(" revoked\n")
    assert "allow  allowed" in recorded
    assert over.startswith("approval required  ")


def test_a_grant_ahead_of_time_is_written_as_the_page_of_approvals_says(stack: Stack) -> None:
    admin: Rest = stack.cluster.rest()
    succeeded(Shell(stack.cluster, SECRETS).run("kubectl apply --server-side"))
    shell = Shell(stack.cluster, APPROVALS)
    # The case S3 is about the page's secrets, in the same cluster: what waits here must not stand there.
    asked = succeeded(shell.run("kubectl bailiwick request", **{"secret/db/*": "secret/audit/*"})).strip()
    # The page's other way to the same grant. A second one for such a call is over the limit: this is for other secrets.
    written = succeeded(shell.run("kubectl create -f - <<EOF", **{'"db/*"': '"archive/*"'})).split(" ")[0]
    for name in (asked, written):
        path = f"/apis/bailiwick.dev/v1alpha1/namespaces/vault/approvalgrants/{name.rpartition('/')[2]}"
        # What it names is there, its steps are the rule's own, and so it can be reviewed.
        until(partial(_resolved, admin, path), f"{name} is resolved")


def _resolved(admin: Rest, path: str) -> bool:
    return "resolved" in admin.get(path).body.get("status", {})
