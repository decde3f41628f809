"""The two CustomResourceDefinitions under other groups: as shipped, with one rule left out, or with the bare structure.

Holds: under a group of their own no guard looks at the objects, so that only the schema can refuse them; and what is
taken from a definition here is all in which it differs from the shipped one.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from bailiwick_api.kinds import cel
from bailiwick_api.manifests import crds
from support.objects import Object

TEST_DOMAIN: Final = "bailiwick.test"
SHIPPED: Final = f"shipped.{TEST_DOMAIN}"
BARE: Final = f"bare.{TEST_DOMAIN}"
_RULES: Final = "x-kubernetes-validations"


@dataclass(frozen=True, slots=True)
class Place:
    """A rule and where it hangs; `path` is that of the schema (`spec.rules[]`), empty for the whole object."""

    kind: str
    path: str
    rule: cel.CelRule


def both() -> tuple[Object, Object]:
    """Return the definitions as shipped."""
    return crds.endpoint_policies(), crds.approval_grants()


def ruled() -> tuple[Object, ...]:
    """Return every definition that has validation rules, as shipped."""
    return (*both(), crds.subject_revocations())


def named_rules() -> dict[str, cel.CelRule]:
    """Return the constants of `bailiwick_api.kinds.cel` by their names."""
    return {name: value for name, value in vars(cel).items() if isinstance(value, cel.CelRule)}


def places() -> list[Place]:
    """Return every rule of the generated definitions with its place."""
    return [
        Place(definition["spec"]["names"]["kind"], path, cel.CelRule(entry["rule"], entry["message"]))
        for definition in ruled()
        for path, node in nodes(schema_of(definition))
        for entry in node.get(_RULES, ())
    ]


def group_without(rule: cel.CelRule) -> str:
    """Return the group under which this rule is left out, named after its constant."""
    name = next(name for name, value in named_rules().items() if value == rule)
    return f"without-{name.lower().replace('_', '-')}.{TEST_DOMAIN}"


def under(definition: Object, group: str) -> Object:
    """Return a definition under another group."""
    out = copy.deepcopy(definition)
    out["spec"]["group"] = group
    out["metadata"]["name"] = f"{out['spec']['names']['plural']}.{group}"
    # Short names and categories stay with the real group: many claimants would make `kubectl get agr` a lottery.
    out["spec"]["names"] = {k: v for k, v in out["spec"]["names"].items() if k not in {"shortNames", "categories"}}
    return out


def without_rule(rule: cel.CelRule) -> Object:
    """Return the definition that has this rule, without it, under a group of its own."""
    (place,) = (place for place in places() if place.rule == rule)
    definition = next(one for one in ruled() if one["spec"]["names"]["kind"] == place.kind)
    out = under(definition, group_without(rule))
    node = dict(nodes(schema_of(out)))[place.path]
    node[_RULES] = [entry for entry in node[_RULES] if entry["rule"] != rule.expression]
    return out


def bare(definition: Object) -> Object:
    """Return a definition without any rule, and with the status as a field like others."""
    out = under(definition, BARE)
    for _, node in nodes(schema_of(out)):
        node.pop(_RULES, None)
    del out["spec"]["versions"][0]["subresources"]
    return out


def schema_of(definition: Object) -> Object:
    """Return the schema of a definition's one version."""
    schema: Object = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(schema: Object, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each node with its path: `spec.rules[]` are items, `properties{}` the values of a map."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


def is_required(kind: str, path: str) -> bool:
    """Tell whether the node at this path is required, and so is all that it stands in."""
    schema = next(schema_of(definition) for definition in ruled() if definition["spec"]["names"]["kind"] == kind)
    for name in path.split("."):
        if name not in schema.get("required", ()):
            return False
        schema = schema["properties"][name]
    return True


def in_group(of: Object, group: str) -> Object:
    """Return an object as one of another group."""
    return {**of, "apiVersion": f"{group}/{of['apiVersion'].split('/')[1]}"}
