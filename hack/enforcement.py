"""Where something is enforced: rules of the schema, expressions of the guards, roles, fields, functions of ours.

Standing: `invariants` names them, `generate_invariants` writes them into a page. Holds: each can tell
whether it is still there, in what is shipped and not only in what is written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final, Literal, Protocol

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds import cel
from bailiwick_api.kinds.meta import ENDPOINT_POLICIES
from bailiwick_api.manifests import crds, definitionguard, guards, historyguards, rbac, revocationguards

SHIPPED: Final = Installation()
Kind = Literal["ApprovalGrant", "EndpointPolicy"]


class Place(Protocol):
    """A place where something is enforced."""

    def present(self) -> bool:
        """Tell whether it is there."""

    def __str__(self) -> str:
        """Return how the page names it."""


@dataclass(frozen=True, slots=True)
class SchemaRule:
    """A validation rule of one of the kinds."""

    rule: cel.CelRule

    def present(self) -> bool:
        """Tell whether it hangs in one of the schemas."""
        return self.rule.as_extension() in _schema_rules()

    def __str__(self) -> str:
        """Return its message."""
        return f"schema: *{self.rule.message}*"


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression of one of the guards, by its message."""

    guard: str
    message: str

    def present(self) -> bool:
        """Tell whether the guard has it."""
        return (self.guard, self.message) in _expressions()

    def __str__(self) -> str:
        """Return guard and message."""
        return f"guard `{self.guard.removeprefix('bailiwick-').removeprefix('grants-')}`: *{self.message}*"


def opening(message: str) -> Expression:
    """Return an expression of the guard that sees grants as they are opened."""
    return Expression(guards.OPEN, message)


def reviewing(message: str) -> Expression:
    """Return an expression of the guard that sees reviews, revocations and every other change."""
    return Expression(guards.REVIEW, message)


def writing_status(message: str) -> Expression:
    """Return an expression of the guard that sees writes of the status."""
    return Expression(guards.STATUS, message)


def deleting(message: str) -> Expression:
    """Return an expression of the guard that sees deletions."""
    return Expression(guards.DELETE, message)


def writing_history(message: str) -> Expression:
    """Return an expression of the guard that sees histories as they are written."""
    return Expression(historyguards.HISTORY_WRITE, message)


def deleting_history(message: str) -> Expression:
    """Return an expression of the guard that sees deletions of histories."""
    return Expression(historyguards.HISTORY_DELETE, message)


def defining(message: str) -> Expression:
    """Return an expression of the guard that sees definitions of the group as they are written."""
    return Expression(definitionguard.DEFINITIONS, message)


def writing_revocation(message: str) -> Expression:
    """Return an expression of the guard that sees revocations of subjects as they are written."""
    return Expression(revocationguards.REVOCATIONS_WRITE, message)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of one of the two kinds whose schema bounds it. A path has `[]` behind a list."""

    kind: Kind
    path: str

    def present(self) -> bool:
        """Tell whether the schema has it."""
        return _has(self.kind, self.path)

    def __str__(self) -> str:
        """Return its path."""
        return f"schema: `{self.path}`"


@dataclass(frozen=True, slots=True)
class NoField:
    """A field that does not exist, so that nobody can ask for what it would mean."""

    kind: Kind
    path: str

    def present(self) -> bool:
        """Tell whether its parent is there and it is not."""
        parent, _, _ = self.path.rpartition(".")
        return _has(self.kind, parent) and not _has(self.kind, self.path)

    def __str__(self) -> str:
        """Return its path."""
        return f"schema: no `{self.path}`"


@dataclass(frozen=True, slots=True)
class Role:
    """A role that holds a verb on policies, or on another resource, or does not."""

    name: str
    verb: str
    held: bool = True
    resource: str = ENDPOINT_POLICIES

    def present(self) -> bool:
        """Tell whether there is such a role, and whether it has the verb as said."""
        found = _roles(self.resource).get(self.name)
        return found is not None and (self.verb in found) == self.held

    def __str__(self) -> str:
        """Return role and verb."""
        return f"role `{self.name}`: {'the' if self.held else 'not the'} verb `{self.verb}`"


@dataclass(frozen=True, slots=True)
class Code:
    """A function, class or method of ours, by its dotted name."""

    name: str

    def present(self) -> bool:
        """Tell whether it can be imported."""
        module, _, rest = self.name.partition(".")
        found: Any = import_module(module)
        for part in rest.split("."):
            module = f"{module}.{part}"
            if not hasattr(found, part):
                try:
                    import_module(module)
                except ModuleNotFoundError:
                    return False
            found = getattr(found, part)
        return callable(found)

    def __str__(self) -> str:
        """Return its name."""
        return f"`{self.name}`"


@dataclass(frozen=True, slots=True)
class Invariant:
    """One invariant. `places`: where it is enforced."""

    number: int
    holds: str
    places: tuple[Place, ...]


def expressions() -> frozenset[tuple[str, str]]:
    """Return guard and message of every expression that is shipped."""
    return _expressions()


@cache
def _expressions() -> frozenset[tuple[str, str]]:
    shipped = [*guards.guards(SHIPPED), *revocationguards.revocation_guard(SHIPPED)]
    policies = [document for document in shipped if "validations" in document["spec"]]
    return frozenset(
        (policy["metadata"]["name"], entry["message"]) for policy in policies for entry in policy["spec"]["validations"]
    )


@cache
def _schema_rules() -> list[Mapping[str, str]]:
    return [
        rule
        for definition in (crds.approval_grants(), crds.endpoint_policies(), crds.subject_revocations())
        for node in _nodes(definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
        for rule in node.get("x-kubernetes-validations", ())
    ]


def _nodes(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield schema
    for child in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(child, Mapping):
            yield from _nodes(child)


@cache
def _schema(kind: str) -> Mapping[str, Any]:
    definition = crds.approval_grants() if kind == "ApprovalGrant" else crds.endpoint_policies()
    schema: Mapping[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def _has(kind: str, path: str) -> bool:
    node = _schema(kind)
    for part in path.split("."):
        found = node.get("properties", {}).get(part.removesuffix("[]"))
        if found is None:
            return False
        node = found["items"] if part.endswith("[]") else found
    return True


@cache
def _roles(resource: str) -> dict[str, frozenset[str]]:
    """Return the verbs on a resource of each role, wherever it holds them."""
    documents = (*rbac.people(), *rbac.webhook(SHIPPED), *rbac.operator(SHIPPED))
    return {
        document["metadata"]["name"]: frozenset(
            verb for rule in document["rules"] if resource in rule.get("resources", ()) for verb in rule["verbs"]
        )
        for document in documents
        if document["kind"] == "ClusterRole"
    }
