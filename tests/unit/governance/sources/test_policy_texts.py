"""The texts of policies by their digests: of each object that a file has, in whatever it stands."""

import json
from pathlib import Path

import pytest

from bailiwick_engine.compile.policies import parse_spec
from bailiwick_engine.compile.policydigest import policy_digest
from bailiwick_engine.steps import whole
from bailiwick_governance.sources.policytexts import read_texts
from support.objects import Object, listed, policy, rule, settings

FIRST = policy("crm", rules=[rule()], endpointSettings=settings())
SECOND = policy("crm", "second", rules=[rule("second")])


def digest(one: Object) -> str:
    spec = parse_spec(one["spec"])
    assert not isinstance(spec, tuple)
    return whole(policy_digest(spec))


@pytest.mark.parametrize("text", [f"{json.dumps(FIRST)}\n---\n{json.dumps(SECOND)}", listed(FIRST, SECOND)])
def test_policies_have_texts_as_documents_and_as_a_list(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policies.yaml"
    file.write_text(text, encoding="utf-8")
    texts = read_texts(str(file))
    assert set(texts._texts) == {digest(FIRST), digest(SECOND)}
