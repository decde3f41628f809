"""The keeper of the signing keys: what it does when somebody else writes, refuses or does not answer."""

import copy
from collections.abc import Callable, Mapping
from datetime import timedelta
from http import HTTPStatus
from typing import Final

import pytest

from bailiwick_api.accounts import SIGNING_KEYS_SECRET, Installation
from bailiwick_api.manifests.rbac import accounts
from bailiwick_api.signingkeys import read_keys
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.keys import KeyKeeper
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.reconcile.keys import KeyRotation
from support.objects import Object
from support.transport import FakeTransport
from unit.operator.cases import NOW

PATH: Final = f"/api/v1/namespaces/bailiwick-system/secrets/{SIGNING_KEYS_SECRET}"
(EMPTY,) = (found for found in accounts(Installation()) if found["metadata"]["name"] == SIGNING_KEYS_SECRET)


class FakeSecrets:
    """A server of one Secret, empty at first. `before_write` comes between its being read and its being written."""

    def __init__(self) -> None:
        self.leading = True
        self.client = OperatorClient(FakeTransport(self._answer), lambda: self.leading)
        self.secret: Object | None = None
        self.revision = 0
        self.store(EMPTY)
        self.calls: list[str] = []
        self.before_write: Callable[[], None] = lambda: None
        self.refuses: Mapping[str, ApiResponse | Exception] = {}

    def store(self, body: Object) -> None:
        self.revision += 1
        self.secret = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision)}}

    def _answer(self, request: ApiRequest) -> ApiResponse:
        method, path, body = request.method, request.path, request.body
        self.calls.append(method)
        refused = self.refuses.get(method)
        if isinstance(refused, Exception):
            raise refused
        if refused is not None:
            return refused
        if method == "GET":
            assert path == PATH
            found = self.secret
            return (
                ApiResponse(HTTPStatus.NOT_FOUND, {})
                if found is None
                else ApiResponse(HTTPStatus.OK, copy.deepcopy(found))
            )
        self.before_write()
        assert isinstance(body, dict)
        assert (method, path) == ("PUT", PATH)
        if self.secret is None:
            return ApiResponse(HTTPStatus.NOT_FOUND, {})
        if body["metadata"].get("resourceVersion") != self.secret["metadata"]["resourceVersion"]:
            return ApiResponse(HTTPStatus.CONFLICT, {"message": "the object has been modified"})
        self.store(body)
        return ApiResponse(HTTPStatus.OK, copy.deepcopy(self.secret or {}))


@pytest.fixture
def api() -> FakeSecrets:
    return FakeSecrets()


def keeper(api: FakeSecrets, every: float = 3600, publish: float = 600) -> KeyKeeper:
    rotation = KeyRotation(timedelta(seconds=every), timedelta(seconds=publish))
    return KeyKeeper(api.client, Installation(), rotation, interval=30, now=lambda: NOW)


def kids(api: FakeSecrets) -> list[str]:
    assert api.secret is not None
    return [key.kid for key in read_keys(api.secret["data"])]


async def test_what_is_as_it_should_be_is_read_and_not_written(api: FakeSecrets) -> None:
    keeping = keeper(api)
    assert await keeping.round() == 30
    assert await keeping.round() == 30
    assert (api.calls, keeping.problem, keeping.rounds) == (["GET", "PUT", "GET"], None, 2)
    assert api.secret is not None
    assert (api.secret["kind"], api.secret["type"]) == ("Secret", "Opaque")


async def test_two_who_lead_for_a_moment_keep_one_key(api: FakeSecrets) -> None:
    other = FakeSecrets()
    await keeper(other).round()

    def first() -> None:
        assert other.secret is not None
        assert api.secret is not None
        if "data" not in api.secret:
            api.store(other.secret)

    api.before_write = first
    keeping = keeper(api)
    await keeping.round()
    assert keeping.problem is None
    assert kids(api) == kids(other)


async def test_what_another_wrote_in_between_is_read_again(api: FakeSecrets) -> None:
    await keeper(api).round()
    stored = api.secret
    assert stored is not None
    api.store({**stored, "data": {}})
    moved: list[bool] = []

    def move() -> None:
        if not moved:
            moved.append(True)
            api.store(stored)

    api.before_write = move
    await keeper(api).round()
    assert kids(api) == [key.kid for key in read_keys(stored["data"])]


@pytest.mark.parametrize("when", ["before it is read", "between read and write"])
async def test_what_is_missing_is_told_and_never_made(when: str, api: FakeSecrets) -> None:
    def gone() -> None:
        api.secret = None

    if when == "before it is read":
        gone()
    api.before_write = gone
    keeping = keeper(api)
    assert await keeping.round() == 5
    assert keeping.problem == "Secret bailiwick-keys is missing, so nothing is signed: apply crds/rbac/accounts.yaml"
    assert "POST" not in api.calls
    api.before_write = lambda: None
    api.store(EMPTY)
    await keeping.round()
    assert len(kids(api)) == 1


@pytest.mark.parametrize("kind", ["kubernetes.io/service-account-token", "kubernetes.io/tls", None])
async def test_a_secret_of_another_type_is_told_and_not_written(kind: str | None, api: FakeSecrets) -> None:
    await keeper(api).round()
    assert api.secret is not None
    for data in (api.secret["data"], dict[str, str]()):
        api.store({**api.secret, "type": kind, "data": data})
        api.calls.clear()
        keeping = keeper(api)
        assert await keeping.round() == 5
        assert f"has type {kind} instead of Opaque" in str(keeping.problem)
        assert api.calls == ["GET"]


async def test_whoever_loses_every_race_tries_later(api: FakeSecrets) -> None:
    await keeper(api).round()

    def always() -> None:
        assert api.secret is not None
        api.store({**api.secret, "data": {}})

    always()
    api.before_write = always
    keeping = keeper(api)
    assert await keeping.round() == 5
    assert keeping.problem is not None
    assert keeping.problem == "another writer changed the signing keys at each attempt: retrying"


FORBIDDEN: Final = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "secrets is forbidden"})


@pytest.mark.parametrize(
    ("method", "answer", "words"),
    [
        ("GET", FORBIDDEN, "cannot be read: secrets is forbidden"),
        ("PUT", FORBIDDEN, "cannot be written to Secret bailiwick-keys: secrets is forbidden"),
        ("GET", UnreachableError("no answer"), "no answer"),
        ("PUT", UnreachableError("no answer"), "no answer"),
    ],
    ids=["read refused", "write refused", "read unanswered", "write unanswered"],
)
async def test_what_cannot_be_done_is_told_and_tried_again(
    method: str, answer: ApiResponse | Exception, words: str, api: FakeSecrets
) -> None:
    api.refuses = {method: answer}
    keeping = keeper(api)
    assert await keeping.round() == 5
    assert keeping.problem is not None
    assert words in keeping.problem
    assert api.secret is not None
    assert ("data" in api.secret, keeping.rounds) == (False, 1)
    api.refuses = {}
    await keeping.round()
    assert keeping.problem is None


async def test_an_answer_that_refuses_the_read_replaces_nothing(api: FakeSecrets) -> None:
    await keeper(api).round()
    before = kids(api)
    api.refuses = {"GET": ApiResponse(HTTPStatus.INTERNAL_SERVER_ERROR, {})}
    await keeper(api).round()
    assert kids(api) == before
    assert api.calls == ["GET", "PUT", "GET"]


async def test_it_looks_again_when_something_is_due(api: FakeSecrets) -> None:
    assert await keeper(api, every=10, publish=5).round() == 10


async def test_whoever_no_longer_leads_writes_nothing(api: FakeSecrets) -> None:
    api.leading = False
    keeping = keeper(api)
    await keeping.round()
    assert api.secret is not None
    assert (api.calls, "data" in api.secret) == (["GET"], False)
    assert "lease" in str(keeping.problem)
