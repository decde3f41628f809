"""The digest of a policy, made an entry of a long list a step, is that of its whole spec."""

import hashlib
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from bailiwick_engine.canonicaljson import sha256
from bailiwick_engine.compile import policydigest
from bailiwick_engine.compile.policies import parse_spec, parse_steps
from bailiwick_engine.compile.policydigest import policy_digest, policy_text
from bailiwick_engine.steps import whole
from property.worlds.reference import World
from property.worlds.strategies import worlds
from support.full_objects import full_policy


@pytest.fixture(params=[False, True], ids=["small ones at once", "all in parts"], autouse=True)
def few(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setattr(policydigest, "_FEW", -1)
        yield


@settings(max_examples=50)
@given(worlds())
def test_it_is_the_hash_of_the_canonical_form_of_the_spec(world: World) -> None:
    for raw in (*(facts.raw for facts in world.policies), full_policy("crm", "full")):
        spec = parse_spec(raw["spec"])
        assert whole(parse_steps(raw["spec"])) == spec
        if not isinstance(spec, tuple):
            assert whole(policy_digest(spec)) == sha256(spec.model_dump(mode="json", exclude_none=True))
            text = whole(policy_text(spec))
            assert "sha256:" + hashlib.sha256(text).hexdigest() == whole(policy_digest(spec))
            # Whoever has the text has the policy, and the same text of it again.
            again = parse_spec(json.loads(text))
            assert again == spec
            assert not isinstance(again, tuple)
            assert whole(policy_text(again)) == text
