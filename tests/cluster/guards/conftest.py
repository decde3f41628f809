"""Grounds for the guards: one under the shipped ones, and one for each expression that is left out."""

from collections.abc import Callable, Iterator

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.kinds.meta import GROUP
from support.callers import Callers
from support.guards import variants
from support.guards.ground import Ground
from support.guards.variants import LOOSE, STRICT, Expression
from support.installation import DEFINITIONS, apply
from support.namespaces import Namespaces

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"

GroundFor = Callable[..., Ground]


@pytest.fixture(scope="session")
def ground_namespaces(callers: Callers) -> Iterator[Namespaces]:
    namespaces = Namespaces(callers.admin)
    yield namespaces
    namespaces.clean()


@pytest.fixture(scope="session")
def shipped(callers: Callers, installed: Installation, ground_namespaces: Namespaces) -> Ground:
    """A ground under the guards as they are shipped."""
    ground = Ground(callers, installed, GROUP, ground_namespaces.make("test_guards_as_shipped"))
    ground.prepare()
    return ground


@pytest.fixture(scope="session")
def lacking(callers: Callers, installed: Installation) -> Iterator[None]:
    """The guards for two groups of their own, whole and each without one expression."""
    documents = variants.documents(installed)
    apply(callers.admin, documents)
    yield
    paths = {
        "CustomResourceDefinition": DEFINITIONS,
        "ValidatingAdmissionPolicy": f"{_ADMISSION}/validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding": f"{_ADMISSION}/validatingadmissionpolicybindings",
    }
    for document in documents:
        callers.admin.delete(f"{paths[document['kind']]}/{document['metadata']['name']}")


@pytest.fixture(scope="session")
def ground_without(
    callers: Callers, installed: Installation, ground_namespaces: Namespaces, lacking: None
) -> Callable[[Expression | None, bool], Ground]:
    """Return the ground on which an expression is left out (None: none is), with or without the rules of the schema."""
    made: dict[Expression | None, Ground] = {}

    def ground(expression: Expression | None, unruled: bool) -> Ground:
        if expression not in made:
            number = None if expression is None else variants.number_of(installed, expression)
            labels = {} if expression is None else {variants.label(expression.guard): f"{number}"}
            title = "test_guards_whole" if expression is None else f"test_{variants.label(expression.guard)}_{number}"
            made[expression] = Ground(callers, installed, STRICT, ground_namespaces.make(title, labels))
            made[expression].prepare()
        kept = made[expression]
        return Ground(callers, installed, LOOSE if unruled else STRICT, kept.namespace)

    return ground
