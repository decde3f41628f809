"""The gate before a sync of Argo CD, without a node: its manifests at a real API server, its command as its account.

tests/node/test_presync.py runs the Job itself, in the image of the command line.
"""

import copy
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_kube.paths import data_path, policies_path
from demo.ground import KUBECTL
from support import gatecontainer
from support.commandline import Ran
from support.installation import accepted
from support.objects import POLICY, Object, rule
from support.pages import DOCS
from support.pdp.tenant import Tenant
from support.waits import until_ok

GATES: Final = DOCS.parent / "examples" / "gates"
FILES: Final = {
    "argocd-presync.yaml": "argocd-presync.yaml",
    "argocd-presync-kustomization.yaml": "kustomization.yaml",
}


def example(name: str, tenant: Tenant) -> str:
    """Return a file of the example, for the tenant's namespace and a gate of its own."""
    text = (GATES / name).read_text(encoding="utf-8")
    for written in ("namespace: crm\n", "-n crm\n"):
        text = text.replace(written, written.replace("crm", tenant.namespace))
    return text.replace("crm-policy-gate", f"{tenant.namespace}-gate")


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate of a tenant, whose folder is what its repository holds."""

    tenant: Tenant
    folder: Path
    programs: Path

    @property
    def namespace(self) -> str:
        """Where it runs."""
        return f"{self.tenant.namespace}-gate"

    def built(self) -> dict[str, Object]:
        """Return what Argo CD is given, as Kustomize builds it, by kind."""
        done = subprocess.run([KUBECTL, "kustomize", str(self.folder)], capture_output=True, text=True, check=True)
        return {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}

    def ask(self, policy: Object, *accepted: str, token: str | None = None) -> Ran:
        """Type the Job's command, with the files that its ConfigMap holds, as its account or whoever has the token."""
        (self.folder / "policies.yaml").write_text(yaml.safe_dump(policy), encoding="utf-8")
        (self.folder / "accepted").write_text("".join(f"{line}\n" for line in ("# none", *accepted)), encoding="utf-8")
        built = self.built()
        (container,) = built["Job"]["spec"]["template"]["spec"]["containers"]
        config = gatecontainer.kubeconfig(self.tenant.cluster, self.namespace, self.folder / "kubeconfig", token)
        return gatecontainer.run(container, built["ConfigMap"]["data"], self.folder, config, self.programs)


@pytest.fixture(scope="module")
def gate(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """Its setup applied as it is shipped, and its files in a folder."""
    admin = tenant.callers.admin
    setup = list(yaml.safe_load_all(example("argocd-presync-setup.yaml", tenant)))
    for document in setup:
        accepted(admin.create(document))
    folder, programs = tmp_path_factory.mktemp("repository"), tmp_path_factory.mktemp("bin")
    for name, copied in FILES.items():
        (folder / copied).write_text(example(name, tenant), encoding="utf-8")
    # What the image has under this name.
    python = programs / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -P "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    account = tenant.callers(f"system:serviceaccount:{tenant.namespace}-gate:{gatecontainer.ACCOUNT}")
    # The API server's authorizer sees a new binding a moment after it is stored.
    for listed in (policies_path(tenant.namespace), data_path(tenant.namespace)):
        until_ok(lambda: account.get(listed), "the account may list")  # noqa: B023 - asked at once
    yield Gate(tenant, folder, programs)
    admin.delete(f"/api/v1/namespaces/{tenant.namespace}-gate")


@pytest.fixture
def live(tenant: Tenant) -> Object:
    """The tenant's policy as it is in force, and as its repository has it."""
    raw = accepted(tenant.callers.admin.get(policies_path(tenant.namespace, POLICY)))
    metadata = {"namespace": tenant.namespace, "name": raw["metadata"]["name"]}
    return {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": metadata, "spec": raw["spec"]}


@pytest.fixture
def wider(live: Object) -> Object:
    changed = copy.deepcopy(live)
    changed["spec"]["rules"][0]["actions"].append("customers.more")
    return changed


def test_what_is_in_force_already_and_what_is_narrower_pass(gate: Gate, live: Object) -> None:
    ran = gate.ask(live)
    assert (ran.code, ran.out) == (0, "same: no call is decided in another way\n"), ran
    narrower = copy.deepcopy(live)
    narrower["spec"]["rules"].pop(0)
    assert gate.ask(narrower).code == 0


def test_what_lets_a_call_further_stops_the_sync_unless_this_very_text_is_accepted(
    gate: Gate, live: Object, wider: Object
) -> None:
    ran = gate.ask(wider)
    assert ran.code == 1, ran
    assert "customers.more" in ran.out
    digest = ran.out.rsplit(maxsplit=1)[-1]
    assert f"add a line to the file accepted: {digest}" in ran.out
    assert gate.ask(wider, digest).code == 0
    # It is accepted for no other text.
    another = copy.deepcopy(wider)
    another["spec"]["rules"][0]["actions"].append("customers.still-more")
    assert gate.ask(another, digest).code == 1
    assert gate.ask(wider, digest[:-1]).code == 1


def test_what_cannot_be_read_is_no_pass_even_if_it_is_accepted(gate: Gate, live: Object) -> None:
    broken = copy.deepcopy(live)
    broken["spec"]["rules"].append(rule("b", conditions=[{"name": "c", "expression": "1 +"}]))
    text = yaml.safe_dump(broken)
    assert gate.ask(broken, hashlib.sha256(text.encode()).hexdigest()).code == 2
    stranger = gate.tenant.cluster.service_account_token(gate.tenant.namespace, "default", (), 3600)
    ran = gate.ask(live, token=stranger)
    assert ran.code == 2, ran
    assert "forbidden" in ran.err


def test_what_argo_cd_is_given_is_stored_by_the_account_that_it_acts_as(gate: Gate, live: Object) -> None:
    gate.ask(live)
    tenant, built = gate.tenant, gate.built()
    admin = tenant.callers.admin
    hooks = [built["ConfigMap"], built["Job"]]
    assert [hook["metadata"]["namespace"] for hook in hooks] == [gate.namespace] * 2
    annotations = [hook["metadata"]["annotations"] for hook in hooks]
    assert [one["argocd.argoproj.io/hook"] for one in annotations] == ["PreSync"] * 2
    # The files are there before the Job is.
    assert annotations[0]["argocd.argoproj.io/sync-wave"] == "-1"
    (volume,) = built["Job"]["spec"]["template"]["spec"]["volumes"]
    assert volume["configMap"]["name"] == built["ConfigMap"]["metadata"]["name"]
    writer = {"namespace": tenant.namespace, "name": "policy-writer"}
    accepted(admin.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": writer}))
    acting = tenant.cluster.rest_as_service_account(tenant.namespace, "policy-writer")
    for hook in hooks:
        until_ok(lambda: acting.create(hook, dry_run=True), f"{hook['kind']} is taken")  # noqa: B023
    # The namespace takes pods of the restricted profile alone.
    template = built["Job"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": gate.namespace, "name": "gate"}, **template}
    accepted(admin.create(pod, dry_run=True))
    loose = copy.deepcopy(pod)
    del loose["spec"]["securityContext"]
    assert admin.create(loose, dry_run=True).status == 403


def test_the_gates_account_reads_policies_and_data_and_nothing_else(gate: Gate) -> None:
    tenant = gate.tenant
    rest = tenant.cluster.rest_as_service_account(gate.namespace, gatecontainer.ACCOUNT)
    for resource in ("endpointpolicies", "endpointdata"):
        assert rest.get(policies_path(tenant.namespace).replace("endpointpolicies", resource)).ok
    assert rest.get(policies_path("default")).status == 403
    assert rest.get(policies_path(tenant.namespace).replace("endpointpolicies", "approvalgrants")).status == 403
    assert rest.get(f"/api/v1/namespaces/{gate.namespace}/configmaps").status == 403
    assert rest.delete(policies_path(tenant.namespace, POLICY), dry_run=True).status == 403
