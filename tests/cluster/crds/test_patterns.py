"""What names, actions, ids, digests and times look like: the API server and the models read each string alike.

Holds: what the server stores, the models can read. For names that is an equality; for times the models are the more
lenient ones, because YAML files that no server has seen hold times too.
"""

from typing import Final

import pytest
from pydantic import BaseModel

from bailiwick_api.kinds.approvalgrant import ApprovalGrant
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from support.callers import Callers
from support.full_objects import full_grant, full_policy
from support.objects import Object, changed
from support.schemas.definitions import BARE, in_group
from support.schemas.patterns import TAKES_AND_REFUSES, TIME_FIELDS, TIMES
from support.schemas.transitions import causes

MODELS: Final[dict[str, type[BaseModel]]] = {"EndpointPolicy": EndpointPolicy, "ApprovalGrant": ApprovalGrant}
FULL: Final = {"EndpointPolicy": full_policy, "ApprovalGrant": full_grant}


def written(field: str, value: str, namespace: str) -> Object:
    kind, path = field.split()
    return in_group(changed(FULL[kind](namespace), path, value), BARE)


@pytest.mark.parametrize("field", TAKES_AND_REFUSES)
def test_a_field_takes_what_its_pattern_says(field: str, callers: Callers, variants: None, shelf: str) -> None:
    takes, _ = TAKES_AND_REFUSES[field]
    messages = {value: callers.admin.create(written(field, value, shelf), dry_run=True).message for value in takes}
    assert messages == dict.fromkeys(takes, "")


@pytest.mark.parametrize("field", TAKES_AND_REFUSES)
def test_a_field_refuses_what_its_pattern_does_not_say(
    field: str, callers: Callers, variants: None, shelf: str
) -> None:
    _, refuses = TAKES_AND_REFUSES[field]
    for value in refuses:
        found = causes(callers.admin.create(written(field, value, shelf), dry_run=True))
        assert ["in body should match" in message for _, message in found] == [True], (value, found)


@pytest.mark.parametrize("field", TIME_FIELDS)
def test_a_time_that_the_server_takes_can_be_read(field: str, callers: Callers, variants: None, shelf: str) -> None:
    takes, refuses = TIMES
    for value in takes:
        body = written(field, value, shelf)
        assert callers.admin.create(body, dry_run=True).message == "", value
        MODELS[body["kind"]].model_validate({"spec": body["spec"], "status": body["status"]})
    for value in refuses:
        found = causes(callers.admin.create(written(field, value, shelf), dry_run=True))
        assert found, value
        assert {where.replace("[0]", ".0") for where, _ in found} == {field.split()[1]}
