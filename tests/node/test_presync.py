"""The gate of examples/gates on a node: the Job of the example, in the image of the command line, as its account."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import generate
from demo.ground import KUBECTL
from localcluster.node import images
from localcluster.node.cluster import NodeCluster
from localcluster.progress import Silent
from support.callers import Callers
from support.installation import accepted, apply
from support.namespaces import Namespaces
from support.node import bailiwick
from support.objects import Object, policy, rule, settings
from support.pages import DOCS
from support.waits import until

GATES: Final = DOCS.parent / "examples" / "gates"
SHIPPED: Final = re.compile(r"registry\.example/bailiwick-cli:[\w.]+")


class JobGate:
    """The gate of a namespace, which Argo CD would start."""

    def __init__(self, callers: Callers, namespace: str, folder: Path, image: str) -> None:
        self._admin = callers.admin
        self._folder = folder
        self._given = namespace
        self._image = image
        self.namespace = f"{namespace}-gate"
        for name, copied in (("presync", "argocd-presync.yaml"), ("presync-kustomization", "kustomization.yaml")):
            (folder / copied).write_text(self._example(name), encoding="utf-8")
        apply(self._admin, yaml.safe_load_all(self._example("presync-setup")))

    def run(self, head: Object, accepting: str = "# none") -> tuple[str, str, int]:
        """Run it, and return how it ended, what it printed, and how many pods it took."""
        (self._folder / "policies.yaml").write_text(yaml.safe_dump(head), encoding="utf-8")
        (self._folder / "accepted").write_text(f"{accepting}\n", encoding="utf-8")
        built = subprocess.run([KUBECTL, "kustomize", str(self._folder)], capture_output=True, text=True, check=True)
        documents = {one["kind"]: one for one in yaml.safe_load_all(built.stdout)}
        job, files = documents["Job"], documents["ConfigMap"]
        # As BeforeHookCreation does.
        self._admin.delete(job, options={"propagationPolicy": "Foreground"})
        until(lambda: self._admin.get(job).status == 404, "the last gate is gone", 60)
        accepted(self._admin.apply(files, "tests", force=True))
        accepted(self._admin.create(job))
        ended: list[str] = []

        def over() -> list[str]:
            conditions = accepted(self._admin.get(job)).get("status", {}).get("conditions") or ()
            ended[:] = [one["type"] for one in conditions if one["type"] in {"Complete", "Failed"}]
            return ended

        until(over, "the gate has ended", 60)
        pods = accepted(self._admin.get(f"/api/v1/namespaces/{self.namespace}/pods"))["items"]
        log = self._admin.get(f"/api/v1/namespaces/{self.namespace}/pods/{pods[0]['metadata']['name']}/log")
        return ended[0], log.text, len(pods)

    def _example(self, name: str) -> str:
        text = SHIPPED.sub(self._image, (GATES / f"argocd-{name}.yaml").read_text(encoding="utf-8"))
        for written in ("namespace: crm\n", "-n crm\n"):
            text = text.replace(written, written.replace("crm", self._given))
        return text.replace("crm-policy-gate", self.namespace)


@pytest.fixture
def live(node: NodeCluster, callers: Callers, namespaces: Namespaces) -> Iterator[Object]:
    """A policy that is in force in a namespace. Nothing of Bailiwick runs: the gate needs its kinds alone."""
    installation = Installation()
    bailiwick.remove(callers.admin, installation)
    documents = [one for file in generate.manifests(installation).values() for one in file]
    apply(callers.admin, [one for one in documents if one["kind"] == "CustomResourceDefinition"])
    body = policy(namespaces.make("presync"), endpointSettings=settings())
    accepted(callers.admin.create(body))
    yield body
    bailiwick.remove(callers.admin, installation)


def test_the_job_passes_what_is_in_force_and_stops_what_is_wider_unless_it_is_accepted(
    node: NodeCluster, callers: Callers, live: Object, tmp_path: Path
) -> None:
    (image,) = images.ensure(Silent(), ("cli",))
    node.load(image.archive)
    gate = JobGate(callers, live["metadata"]["namespace"], tmp_path, image.reference)
    ended, printed, _ = gate.run(live)
    assert (ended, printed) == ("Complete", "same: no call is decided in another way\n")
    wider = {**live, "spec": {**live["spec"], "rules": [rule(actions=["customers.*"])]}}
    ended, printed, pods = gate.run(wider)
    # The verdict is final: there was one try.
    assert (ended, pods) == ("Failed", 1), printed
    assert printed.startswith("WIDER")
    digest = printed.rsplit(maxsplit=1)[-1]
    ended, printed, _ = gate.run(wider, digest)
    assert ended == "Complete", printed
