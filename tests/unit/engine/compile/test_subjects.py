"""What a subject of a policy must be: the engine says so itself, for policies that no API server has looked at."""

from typing import Final

import pytest

from support.objects import Object, rule, settings
from unit.engine.cases import compilation, stored

ACCOUNT: Final[Object] = {"serviceAccount": {"namespace": "agents", "name": "crm-agent"}}
USER: Final[Object] = {"user": {"issuer": "corp", "name": "heidi"}}
GROUP: Final[Object] = {"group": {"issuer": "corp", "name": "crm"}}
ENTITY: Final[Object] = {"entity": {"type": "robot", "ids": ["r2"]}}
IMAGE: Final[Object] = {"workload": {"imageDigests": ["sha256:" + "0" * 64]}}
PODS: Final[Object] = {"workload": {"podSelector": {"matchLabels": {"app": "crm"}}}}
ASSERTED: Final[Object] = {**settings(), "identity": {"verification": "Asserted"}}
ONE: Final = "spec.subjects[0]: a subject must have exactly one of serviceAccount, user, group, entity"
OF_ACCOUNTS: Final = "spec.subjects[0].workload: workload is allowed only with serviceAccount"
OF_SOMETHING: Final = "spec.subjects[0].workload: workload needs imageDigests, podSelector or both"
ON_ITS_WORD: Final = "spec.subjects[0].entity: a subject with entity needs identity.verification: Asserted"


def told(subject: Object, of: Object | None = None) -> list[str]:
    raw = stored("p", rule(), subjects=[{"name": "agent", **subject}], endpointSettings=of or settings())
    return [str(problem) for problem in compilation(raw).problems]


@pytest.mark.parametrize("subject", [ACCOUNT, USER, GROUP, {**ACCOUNT, **IMAGE}, {**ACCOUNT, **PODS}])
def test_a_subject_is_of_one_kind(subject: Object) -> None:
    assert told(subject) == []


@pytest.mark.parametrize(
    "subject", [{}, {**ACCOUNT, **USER}, {**USER, **GROUP}, {**ACCOUNT, **GROUP}, {**ACCOUNT, **USER, **GROUP}]
)
def test_a_subject_of_no_kind_or_of_several_is_refused(subject: Object) -> None:
    assert told(subject) == [ONE]


@pytest.mark.parametrize("subject", [USER, GROUP])
def test_a_workload_of_what_is_no_service_account_is_refused(subject: Object) -> None:
    assert told({**subject, **IMAGE}) == [OF_ACCOUNTS]


def test_a_workload_that_asks_for_nothing_is_refused() -> None:
    assert told({**ACCOUNT, "workload": {}}) == [OF_SOMETHING]


def test_an_entity_is_refused_where_nobody_is_taken_at_their_word() -> None:
    assert told(ENTITY, ASSERTED) == []
    assert told(ENTITY) == [ON_ITS_WORD]
    assert told(ENTITY, {**settings(), "identity": {"verification": "Token"}}) == [ON_ITS_WORD]
