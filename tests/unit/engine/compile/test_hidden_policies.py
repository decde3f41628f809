"""Files in which kubectl finds other policies than a reader of YAML: each is reported, and denies everything."""

import json
from typing import Final

import pytest
import yaml

from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.compile import manifests
from bailiwick_engine.compile.manifests import ManifestEntry
from bailiwick_engine.steps import whole
from support.objects import policy, rule

FOREIGN: Final = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "crm", "name": "a"}}
HIDDEN: Final = policy("crm", "hidden", rules=[rule()])
TEXT: Final = yaml.safe_dump(HIDDEN, sort_keys=False)
OTHER: Final = yaml.safe_dump(FOREIGN, sort_keys=False)
DEEP: Final = json.loads("{" + '"a": {' * 40 + "}" * 41)


def entries(text: str) -> list[ManifestEntry]:
    read = [
        whole(manifests.contents("p.yaml", document, BudgetLedger(Budget())))
        for document in manifests.parse(text.encode())
    ]
    return [entry for contents in read for entry in contents.entries]


def denied_whole(text: str) -> list[str]:
    return [report.problem for entry in entries(text) for report in entry.reports if report.denies == "everything"]


def listed(kind: str, *items: object, version: str = "v1") -> str:
    return yaml.safe_dump({"apiVersion": version, "kind": kind, "items": [*items]})


HIDING: Final = {
    "a stream of JSON": f"{json.dumps(FOREIGN)}\n{json.dumps(HIDDEN)}\n",
    "a stream of JSON on one line": f"{json.dumps(FOREIGN)}{json.dumps(HIDDEN)}",
    "a list of ConfigMaps": listed("ConfigMapList", HIDDEN),
    "items of what is no list": listed("Status", HIDDEN),
    "a list in a list": listed("DeploymentList", {"items": [HIDDEN]}, version="apps/v1"),
    "items in an item": listed("List", FOREIGN | {"items": [HIDDEN]}),
    "behind a merge key": f"{OTHER}data: {{<<: {{a: b}}}}\n{TEXT}",
    "behind what is too deep": f"{OTHER}data: {json.dumps(DEEP)}\n{TEXT}",
    "in escapes": f'{OTHER}data: {{<<: {{a: b}}}}\n"apiVersion": "\\x62ailiwick.\\u0064ev/v1alpha1"\n',
    "in a verbatim tag": f"{OTHER}data: {{<<: {{a: b}}}}\napiVersion: !<tag:yaml.org,2002:binary> YmFpbGl3aWNr\n",
    "a marker behind a return alone": f"{OTHER}\r---\r{TEXT}",
    "a comment without a space": f"{OTHER}---#x\n{TEXT}",
    "a comment with a colon": f"{OTHER}---#x:\n{TEXT}",
    "a space of another kind": f"{OTHER}---\u00a0#x:\n{TEXT}",
    "a word": f"{OTHER}---x\n{TEXT}",
    "four hyphens": f"{OTHER}----\n{TEXT}",
    "a value behind the marker": f"{OTHER}--- {{a: b}}\n{TEXT}",
    "a key behind the marker": f"{OTHER}--- x:\n{TEXT}",
    "a scalar behind the marker": f"{OTHER}--- |\n{TEXT}",
    "a document behind dots": f"{TEXT}...\n{TEXT.replace('hidden', 'second')}",
    "a document behind dots and a comment": f"{OTHER}...\n# why\n\n{TEXT}",
}
CLEAR: Final = {
    "two documents": f"{OTHER}---\n{TEXT}",
    "comments, and lines as on Windows": f"# first\n--- # a comment\n{TEXT}---\r\n{OTHER}--- \n",
    "a comment, and dots at the end": f"{OTHER}---  # of Helm\n{TEXT}...\n",
    "dots before a marker": f"{TEXT}...\n# the end\n\n---\n{OTHER}",
    "a merge key of others": f"{OTHER}data: {{<<: {{a: b}}}}\n---\n{TEXT}",
    "what is too deep of others": f"{OTHER}data: {json.dumps(DEEP)}\n---\n{TEXT}",
    "scalars of YAML 1.1 of others": f"{OTHER}data: {{on: yes, x: 017}}\n---\n{TEXT}",
    "a list of everything": listed("List", FOREIGN, HIDDEN),
    "a list of ConfigMaps": f"{listed('ConfigMapList', {'metadata': {'name': 'a'}})}---\n{TEXT}",
    "markers in a text": f"{OTHER}data:\n  key: |\n    ---#x\n    -----BEGIN CERTIFICATE-----\n---\n{TEXT}",
}


@pytest.mark.parametrize("text", HIDING.values(), ids=HIDING)
def test_a_file_that_kubectl_reads_otherwise_denies_everything(text: str) -> None:
    assert denied_whole(text)


@pytest.mark.parametrize("text", CLEAR.values(), ids=CLEAR)
def test_a_file_that_both_read_alike_is_served(text: str) -> None:
    assert denied_whole(text) == []
    assert [entry.ref.name for entry in entries(text)] == ["hidden"]
