"""A list that the API server keeps as a set has no entry twice in a model either, so that files are refused too."""

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from pydantic import ValidationError

from bailiwick_api.kinds.endpointpolicy import EndpointPolicySpec
from support.full_objects import full_policy
from support.objects import changed
from support.schemas import definitions


def _ways(schema: Any, node: Any, way: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:  # noqa: ANN401 - any JSON
    """Yield where sets stand in an object."""
    if schema.get("x-kubernetes-list-type") == "set":
        yield way
    elif isinstance(node, list):
        for number, item in enumerate(node):
            yield from _ways(schema["items"], item, (*way, str(number)))
    elif isinstance(node, dict):
        for key, item in node.items():
            of = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if of:
                yield from _ways(of, item, (*way, key))


POLICY: Final = full_policy("crm")
SETS: Final = sorted(
    ".".join(way)
    for way in _ways(definitions.schema_of(definitions.both()[0])["properties"]["spec"], POLICY["spec"], ("spec",))
)


@pytest.mark.parametrize("path", SETS)
def test_each_set_of_a_policy_refuses_an_entry_twice(path: str) -> None:
    value: Any = POLICY
    for key in path.split("."):
        value = value[int(key) if key.isdecimal() else key]
    EndpointPolicySpec.model_validate(POLICY["spec"])
    with pytest.raises(ValidationError) as found:
        EndpointPolicySpec.model_validate(changed(POLICY, path, [*value, value[0]])["spec"])
    (error,) = found.value.errors(include_url=False)
    assert (error["type"], ".".join(map(str, error["loc"]))) == ("duplicate_entry", path.removeprefix("spec."))


def test_the_full_policy_has_each_set_of_the_schema() -> None:
    schema = definitions.schema_of(definitions.both()[0])
    kept = [path for path, node in definitions.nodes(schema) if node.get("x-kubernetes-list-type") == "set"]
    held = {re.sub(r"\.\d+", "[]", path).replace(".env", "{}") for path in SETS}
    assert held == {path for path in kept if path.startswith("spec")} != set()
