"""Keep as a document: it covers what the proof covers, exempts nothing, and its binding says which version it is."""

import hashlib
import re
from pathlib import Path
from textwrap import dedent
from typing import Any, Final

import rfc8785
import yaml

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests import generate, keep
from bailiwick_engine.approval import apiroutes
from bailiwick_engine.approval.fingerprint import shipped_fingerprint

ROOT: Final = Path(__file__).resolve().parents[3]
# A block of a page, and the comment above it that names its file.
BLOCK: Final = re.compile(r"^ *<!-- (examples/\S+) -->\n *```yaml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def spec() -> dict[str, Any]:
    found: dict[str, Any] = keep.keep_documents()[0]["spec"]
    return found


def expression(name: str) -> str:
    (found,) = (one["expression"] for one in spec()["variables"] if one["name"] == name)
    return str(found)


def test_it_names_each_object_that_the_proof_covers() -> None:
    for document in shipped_fingerprint(Installation()):
        assert f"'{document['metadata']['name']}'" in expression("kept")


def test_it_names_each_api_service_that_the_proof_covers() -> None:
    for name in apiroutes.REQUIRED:
        assert f"'{name}'" in expression("deciding")


def test_it_exempts_nothing_and_nobody() -> None:
    assert spec()["failurePolicy"] == "Fail"
    constraints = spec()["matchConstraints"]
    assert (constraints["namespaceSelector"], constraints["objectSelector"]) == ({}, {})
    assert not {"matchConditions", "paramKind"} & set(spec())
    assert "userInfo" not in str(spec())


def test_the_binding_has_the_digest_of_the_spec_as_the_file_has_it() -> None:
    (text,) = generate.on_disk().values()
    policy, binding = yaml.safe_load_all(text)
    digest = hashlib.sha256(rfc8785.dumps(policy["spec"])).hexdigest()[:12]
    assert binding["metadata"]["name"] == f"bailiwick-keep.{digest}.static.k8s.io" == keep.keep_binding()
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}


def test_the_page_shows_the_files_that_are_shipped_and_this_version() -> None:
    page = (ROOT / "docs" / "how-to" / "guards-on-disk.md").read_text()
    shown = {name: yaml.safe_load(dedent(text)) for name, text in BLOCK.findall(page)}
    shipped = {name: yaml.safe_load((ROOT / name).read_text()) for name in shown}
    assert set(shown) == {"examples/keep/admission.yaml", "examples/keep/kubeadm.yaml"}
    assert shown["examples/keep/admission.yaml"] == shipped["examples/keep/admission.yaml"]
    settings = {"apiServer": shipped["examples/keep/kubeadm.yaml"]["apiServer"]}
    assert shown["examples/keep/kubeadm.yaml"] == settings
    assert f"binding '{keep.keep_binding()}' denied request" in page
    (node,) = yaml.safe_load((ROOT / "examples/keep/kind.yaml").read_text())["nodes"]
    (patch,) = node["kubeadmConfigPatches"]
    assert yaml.safe_load(patch) == {"kind": "ClusterConfiguration", **settings}


def test_no_installation_differs_in_it() -> None:
    # One file fits all: it speaks of no account and no namespace.
    (text,) = generate.on_disk().values()
    assert "bailiwick-system" not in text
    assert "bailiwick-webhook" not in text
