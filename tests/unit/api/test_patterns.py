"""What names, actions, ids, digests and times look like to the models; tests/cluster/crds asks the server the same."""

from typing import Final

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from bailiwick_api.kinds.approvalgrant import ApprovalGrant
from bailiwick_api.kinds.endpointpolicy import EndpointPolicy
from bailiwick_api.kinds.matches import Action, ResourceId
from support.full_objects import full_grant, full_policy
from support.objects import changed
from support.schemas.patterns import TAKES_AND_REFUSES, TIME_FIELDS, TIMES

MODELS: Final[dict[str, type[BaseModel]]] = {"EndpointPolicy": EndpointPolicy, "ApprovalGrant": ApprovalGrant}
FULL: Final = {"EndpointPolicy": full_policy("nowhere"), "ApprovalGrant": full_grant("nowhere")}
ADAPTERS: Final[dict[str, TypeAdapter[str]]] = {"action": TypeAdapter(Action), "resource id": TypeAdapter(ResourceId)}
STARS: Final[dict[str, dict[str, bool]]] = {
    "action": {
        "*": True,
        "customers.*": True,
        "customers:read.*": True,
        "/customers/*": True,
        "customers*": False,
        "customers.*.get": False,
        "*.get": False,
        "customers.**": False,
        "": False,
        "a" * 128: True,
        "a" * 129: False,
    },
    "resource id": {
        "*": True,
        "eu/42": True,
        "eu/*": True,
        "Jane Doe": True,
        "eu*": False,
        "*/42": False,
        "": False,
        "i" * 253: True,
        "i" * 254: False,
    },
}
NO_TIMES: Final = ("soon", "2027-03-31T00:00:00", "2027-02-29T00:00:00Z", "2027-03-31T00:00:00Zoo")


def takes(field: str, value: str) -> bool:
    kind, path = field.split()
    body = changed(FULL[kind], path, value)
    try:
        MODELS[kind].model_validate({"spec": body["spec"], "status": body["status"]})
    except ValidationError as error:
        wrong = len(error.errors())
    else:
        return True
    # Only the one field, and nothing that the full object has wrong by itself.
    assert wrong == 1
    return False


@pytest.mark.parametrize("field", TAKES_AND_REFUSES)
def test_a_field_takes_what_its_pattern_says_and_nothing_else(field: str) -> None:
    good, bad = TAKES_AND_REFUSES[field]
    expected = dict.fromkeys(good, True) | dict.fromkeys(bad, False)
    assert {value: takes(field, value) for value in expected} == expected


@pytest.mark.parametrize("field", TIME_FIELDS)
def test_every_time_that_the_server_takes_can_be_read(field: str) -> None:
    good, _ = TIMES
    expected = dict.fromkeys(good, True) | dict.fromkeys(NO_TIMES, False)
    assert {value: takes(field, value) for value in expected} == expected


@pytest.mark.parametrize("what", STARS)
def test_a_star_stands_alone_or_behind_a_separator_at_the_end(what: str) -> None:
    for value, accepted in STARS[what].items():
        try:
            ADAPTERS[what].validate_python(value)
        except ValidationError:
            assert not accepted, value
        else:
            assert accepted, value
