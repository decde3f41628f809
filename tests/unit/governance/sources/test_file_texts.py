"""What a file of policies asks for, counted quickly, is what the exact reading counts."""

import json
from typing import Final

import pytest

from bailiwick_api.documents.policyfiles import policy_file
from bailiwick_governance.sources.filetext import FileText
from support.objects import rule
from unit.engine.cases import stored

POLICY: Final = stored("p", rule())
NAMED: Final = """\
apiVersion: bailiwick.dev/v1alpha1
kind: EndpointPolicy
metadata: {{namespace: {namespace}, name: {name}}}
spec: {{endpoint: crm-api}}
"""


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(POLICY),
        NAMED.format(namespace="crm", name="p"),
        NAMED.format(namespace="crm", name="2026-11-26"),
        NAMED.format(namespace="crm", name="123"),
        NAMED.format(namespace="'y'", name="x"),
        "---\n" + NAMED.format(namespace="a", name="b") + "---\n---\n" + NAMED.format(namespace="c", name="d"),
        json.dumps({"apiVersion": "v1", "kind": "List", "items": [POLICY, POLICY]}),
        NAMED.format(namespace="&n crm", name="*n"),
        "apiVersion: v1\nkind: Secret\nmetadata: {namespace: a, name: b}\n",
        "{{ helm }}: [",
        "[]",
        "",
    ],
)
def test_it_is_the_same(text: str) -> None:
    file = policy_file(text.encode())
    assert FileText(file).quick == FileText(file).claims


def test_a_number_for_a_name_is_none_in_either() -> None:
    assert FileText(policy_file(NAMED.format(namespace="crm", name="123").encode())).quick == ()
    assert len(FileText(policy_file(json.dumps(POLICY).encode())).quick) == 1


@pytest.mark.parametrize(
    "text", [NAMED.format(namespace="crm", name="1e3"), NAMED.format(namespace="!!str crm", name="p")]
)
def test_what_the_exact_reading_refuses_may_count_and_then_the_exact_one_is_asked(text: str) -> None:
    found = FileText(policy_file(text.encode()))
    assert (len(found.quick), found.claims) == (1, ())
