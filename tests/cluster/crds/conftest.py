"""The definitions under groups of their own, all installed in one go."""

from collections.abc import Iterator

import pytest

from bailiwick_api.manifests import crds
from support.callers import Callers
from support.installation import DEFINITIONS, apply
from support.namespaces import Namespaces
from support.schemas import definitions
from support.schemas.definitions import SHIPPED


@pytest.fixture(scope="session")
def variants(callers: Callers) -> Iterator[None]:
    """Definitions as shipped, bare, and one without each rule; see `support.schemas.definitions`."""
    made = [
        *(definitions.under(definition, SHIPPED) for definition in (*definitions.ruled(), crds.endpoint_histories())),
        *(definitions.bare(definition) for definition in definitions.both()),
        *(definitions.without_rule(rule) for rule in definitions.named_rules().values()),
    ]
    apply(callers.admin, made)
    yield
    for definition in made:
        callers.admin.delete(f"{DEFINITIONS}/{definition['metadata']['name']}")


@pytest.fixture(scope="session")
def shelf(callers: Callers) -> Iterator[str]:
    """One namespace for all tests of the schemas: each puts objects of another name there, or only tries to."""
    namespaces = Namespaces(callers.admin)
    yield namespaces.make("test_schemas")
    namespaces.clean()
