"""The keys of the witness: what is done when the Secret is empty, changed, emptied, missing or of another kind."""

import base64
import copy
import json
from http import HTTPStatus
from typing import Any, Final

import pytest

from bailiwick_api.accounts import WITNESS_SECRET, Installation
from bailiwick_api.rbac import accounts
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest
from bailiwick_operator.evidence.keys import WITNESS_ENTRY, WitnessKeyring
from bailiwick_operator.kube import OperatorClient, RefusedError
from support.objects import Object
from support.transport import FakeTransport
from unit.operator.cases import NOW

(EMPTY,) = (
    found
    for found in accounts(Installation())
    if (found["kind"], found["metadata"]["name"]) == ("Secret", WITNESS_SECRET)
)
NAME: Final = "bailiwick-system"


class FakeSecret:
    """A server of one Secret. `conflicts`: so many writes come too late."""

    def __init__(self) -> None:
        self.secret: Object | None = copy.deepcopy(EMPTY)
        self.conflicts = 0
        self.writes = 0
        self.told: list[str] = []

    def keyring(self) -> WitnessKeyring:
        client = OperatorClient(FakeTransport(self._answer), lambda: True)
        return WitnessKeyring(client, Installation(), lambda: NOW, self.told.append)

    def listed(self) -> list[dict[str, Any]]:
        assert self.secret is not None
        found: list[dict[str, Any]] = json.loads(base64.b64decode(self.secret["data"][WITNESS_ENTRY]))
        return found

    def _answer(self, request: ApiRequest) -> ApiResponse:
        if self.secret is None:
            return ApiResponse(HTTPStatus.NOT_FOUND, {})
        if request.method == "GET":
            return ApiResponse(HTTPStatus.OK, copy.deepcopy(self.secret))
        assert isinstance(request.body, dict)
        if self.conflicts:
            self.conflicts -= 1
            return ApiResponse(HTTPStatus.CONFLICT, {"message": "modified"})
        self.writes += 1
        self.secret = copy.deepcopy(request.body)
        return ApiResponse(HTTPStatus.OK, self.secret)


@pytest.fixture
def api() -> FakeSecret:
    return FakeSecret()


async def test_the_first_key_is_made_and_every_later_leader_has_the_same(api: FakeSecret) -> None:
    first, second = await api.keyring().current(), await api.keyring().current()
    assert first.verifiers(NAME) == second.verifiers(NAME)
    assert str(first.verifiers(NAME)[0]).startswith("bailiwick/bailiwick-system/witness+")
    assert (first.begun, api.writes, api.told) == (False, 1, [])


async def test_that_something_was_witnessed_is_remembered_with_the_key(api: FakeSecret) -> None:
    ring = api.keyring()
    await ring.current()
    await ring.begin()
    await ring.begin()
    assert (await api.keyring().current()).begun
    assert api.writes == 2


async def test_a_write_that_came_too_late_is_tried_again_upon_what_is_there(api: FakeSecret) -> None:
    api.conflicts = 2
    keys = await api.keyring().current()
    assert base64.b64decode(api.listed()[0]["seed"]) == keys.signing.seed
    api.secret, api.conflicts = copy.deepcopy(EMPTY), 9
    with pytest.raises(RefusedError, match="another writer"):
        await api.keyring().current()


@pytest.mark.parametrize("data", [{}, {WITNESS_ENTRY: "AAAA"}, {"begun": "dHJ1ZQ=="}])
async def test_a_key_that_this_process_used_is_put_back(api: FakeSecret, data: dict[str, str]) -> None:
    ring = api.keyring()
    used = await ring.current()
    assert api.secret is not None
    api.secret["data"] = data
    assert (await ring.current()).signing.seed == used.signing.seed
    assert base64.b64decode(api.listed()[0]["seed"]) == used.signing.seed
    assert api.told == ["the keys of the witness in Secret bailiwick-witness were removed or changed, and are put back"]


async def test_another_key_in_the_place_of_the_one_that_was_used_is_not_believed(api: FakeSecret) -> None:
    ring = api.keyring()
    used = await ring.current()
    api.secret = copy.deepcopy(EMPTY)
    await api.keyring().current()
    assert (await ring.current()).signing.seed == used.signing.seed


async def test_an_older_key_beside_the_one_that_cosigns_verifies_what_it_cosigned(api: FakeSecret) -> None:
    old = await api.keyring().current()
    (entry,) = api.listed()
    api.secret = copy.deepcopy(EMPTY)
    new = await api.keyring().current()
    both = base64.b64encode(json.dumps([entry, *api.listed()]).encode()).decode()
    assert api.secret is not None
    api.secret["data"][WITNESS_ENTRY] = both
    found = await api.keyring().current()
    assert found.signing.seed == new.signing.seed
    assert found.verifiers(NAME) == (*old.verifiers(NAME), *new.verifiers(NAME))


@pytest.mark.parametrize("data", [{WITNESS_ENTRY: "AAAA"}, {"begun": "dHJ1ZQ=="}])
async def test_keys_that_nobody_knows_any_more_are_replaced_and_that_is_told(
    api: FakeSecret, data: dict[str, str]
) -> None:
    assert api.secret is not None
    api.secret["data"] = data
    await api.keyring().current()
    (told,) = api.told
    assert "are replaced: what was witnessed until now cannot be verified here any more" in told


async def test_nothing_is_made_where_the_secret_is_missing_or_of_another_type(api: FakeSecret) -> None:
    assert api.secret is not None
    api.secret["type"] = "kubernetes.io/service-account-token"
    with pytest.raises(RefusedError, match="instead of Opaque"):
        await api.keyring().current()
    api.secret = None
    with pytest.raises(RefusedError, match=r"is missing, so nothing is witnessed: apply crds/rbac/accounts.yaml"):
        await api.keyring().current()
    assert api.writes == 0
