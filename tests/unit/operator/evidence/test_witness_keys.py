"""The keys of the witness: what is done when the Secret is empty, changed, emptied, missing or of another kind."""

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import pytest

from bailiwick_api.accounts import WITNESS_SECRET, Installation
from bailiwick_api.manifests.rbac import accounts
from bailiwick_api.secretlist import MOST
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest
from bailiwick_operator.evidence.keys import KEPT, RENEW_ANNOTATION, WITNESS_ENTRY, WitnessKeyring
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
        self.told: list[tuple[str, str]] = []
        self.now = NOW

    def keyring(self) -> WitnessKeyring:
        client = OperatorClient(FakeTransport(self._answer), lambda: True)
        return WitnessKeyring(
            client, Installation(), lambda: self.now, lambda reason, note: self.told.append((reason, note))
        )

    def annotate(self, text: str) -> None:
        """Ask for another key, as a person does."""
        assert self.secret is not None
        self.secret["metadata"]["annotations"] = {RENEW_ANNOTATION: text}

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
    assert str(first.verifiers(NAME).keys[0]).startswith("bailiwick/bailiwick-system/witness+")
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
    note = "the keys of the witness in Secret bailiwick-witness were removed or changed, and are put back"
    assert api.told == [("WitnessKeyLost", note)]


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
    assert found.verifiers(NAME).keys == (*old.verifiers(NAME).keys, *new.verifiers(NAME).keys)


@pytest.mark.parametrize("data", [{WITNESS_ENTRY: "AAAA"}, {"begun": "dHJ1ZQ=="}])
async def test_keys_that_nobody_knows_any_more_are_replaced_and_that_is_told(
    api: FakeSecret, data: dict[str, str]
) -> None:
    assert api.secret is not None
    api.secret["data"] = data
    await api.keyring().current()
    ((_, told),) = api.told
    assert "are replaced: what was witnessed until now can no longer be verified here" in told


async def test_nothing_is_made_where_the_secret_is_missing_or_of_another_type(api: FakeSecret) -> None:
    assert api.secret is not None
    api.secret["type"] = "kubernetes.io/service-account-token"
    with pytest.raises(RefusedError, match="instead of Opaque"):
        await api.keyring().current()
    api.secret = None
    with pytest.raises(RefusedError, match=r"is missing, so nothing is witnessed: apply crds/rbac/accounts.yaml"):
        await api.keyring().current()
    assert api.writes == 0


class TestAnotherKeyThatSomebodyAsksFor:
    async def test_cosigns_from_the_time_on_and_of_the_one_before_only_what_verifies_is_left(
        self, api: FakeSecret
    ) -> None:
        ring = api.keyring()
        old = await ring.current()
        api.annotate((NOW + timedelta(seconds=10)).isoformat())
        assert (await ring.current()).signing.seed == old.signing.seed
        api.now += timedelta(seconds=10)
        new = await ring.current()
        assert new.verifiers(NAME).keys == (*old.verifiers(NAME).keys, new.verifiers(NAME).keys[-1])
        assert new.verifiers(NAME).ends == (int(api.now.timestamp()), None)
        assert (await ring.current()).verifiers(NAME) == new.verifiers(NAME)
        assert new.signing.seed != old.signing.seed
        assert [sorted(entry) for entry in api.listed()] == [
            ["createdTime", "public", "untilTime"],
            ["createdTime", "seed"],
        ]
        assert (await api.keyring().current()).verifiers(NAME) == new.verifiers(NAME)
        assert (api.writes, api.told) == (2, [])

    async def test_comes_once_for_each_time(self, api: FakeSecret) -> None:
        ring = api.keyring()
        await ring.current()
        for minutes in (5, 10):
            # Fractions of a second are none of a key's own time.
            api.now = NOW + timedelta(minutes=minutes, milliseconds=950)
            api.annotate((NOW + timedelta(minutes=minutes, milliseconds=900)).isoformat())
            for _ in range(3):
                await ring.current()
        assert (len(api.listed()), api.writes) == (3, 3)

    async def test_remembers_that_something_was_witnessed(self, api: FakeSecret) -> None:
        ring = api.keyring()
        await ring.begin()
        api.now += timedelta(minutes=1)
        api.annotate(api.now.isoformat())
        assert (await ring.current()).begun
        assert (await api.keyring().current()).begun

    async def test_is_made_once_by_two_who_lead_for_a_moment(self, api: FakeSecret) -> None:
        first, second = api.keyring(), api.keyring()
        await first.current()
        await second.current()
        api.now += timedelta(minutes=1)
        api.annotate(api.now.isoformat())
        keys = await first.current()
        assert (await second.current()).signing.seed == keys.signing.seed
        assert (len(api.listed()), api.told) == (2, [])

    async def test_is_kept_where_a_backup_of_the_one_before_is_put_in_its_place(self, api: FakeSecret) -> None:
        ring = api.keyring()
        await ring.current()
        backup = copy.deepcopy(api.secret)
        api.now += timedelta(minutes=1)
        api.annotate(api.now.isoformat())
        new = await ring.current()
        api.secret = backup
        assert (await ring.current()).verifiers(NAME) == new.verifiers(NAME)
        assert [reason for reason, _ in api.told] == ["WitnessKeyLost"]

    async def test_does_not_come_where_every_key_that_there_is_still_verifies_something(self, api: FakeSecret) -> None:
        ring = api.keyring()
        for _ in range(MOST + 3):
            api.now += timedelta(minutes=1)
            api.annotate(api.now.isoformat())
            await ring.current()
        last = await ring.current()
        assert len(api.listed()) == len(last.verifiers(NAME).keys) == MOST
        assert (await api.keyring().current()).verifiers(NAME) == last.verifiers(NAME)
        # Each leader tells it once.
        (reason, note), same = api.told
        assert (reason, same) == ("WitnessKeysFull", (reason, note))
        assert "holds 16 keys, all of which cosigned within 400 days" in note

    async def test_takes_the_place_of_the_oldest_once_nothing_is_kept_that_it_cosigned(self, api: FakeSecret) -> None:
        ring = api.keyring()
        for _ in range(MOST):
            api.now += timedelta(minutes=1)
            api.annotate(api.now.isoformat())
            await ring.current()
        full = await ring.current()
        # The end of the oldest, to the second, and a second before.
        end = full.verifiers(NAME).ends[0]
        assert end is not None
        api.now = datetime.fromtimestamp(end, UTC) + KEPT - timedelta(seconds=1)
        api.annotate(api.now.isoformat())
        assert (await ring.current()).verifiers(NAME) == full.verifiers(NAME)
        api.now += timedelta(seconds=1)
        after = await ring.current()
        assert after.verifiers(NAME).keys[:-1] == full.verifiers(NAME).keys[1:]
        assert len(api.listed()) == MOST

    async def test_does_not_come_for_what_is_no_time_and_that_is_told_once(self, api: FakeSecret) -> None:
        ring = api.keyring()
        await ring.current()
        api.annotate("tomorrow")
        for _ in range(3):
            await ring.current()
        ((reason, note),) = api.told
        assert (reason, len(api.listed())) == ("RenewalMisread", 1)
        assert "bailiwick.dev/renew-before is not a time of RFC 3339" in note


@pytest.mark.parametrize(
    "listed",
    [
        [{"public": "A" * 43 + "=", "createdTime": "2026-11-27T12:00:00Z", "untilTime": "2026-11-27T12:00:00Z"}],
        [{"public": "A" * 43 + "=", "createdTime": "2026-11-27T12:00:00Z"}],
        [
            {"public": "A" * 43 + "=", "createdTime": "2026-11-27T12:00:00Z", "untilTime": "soon"},
            {"seed": "A" * 43 + "=", "createdTime": "2026-11-27T12:00:00Z"},
        ],
        [{"seed": "AAAA", "createdTime": "2026-11-27T12:00:00Z"}],
        [{"seed": "A" * 43 + "="}],
    ],
    ids=["none signs", "until when", "until soon", "short", "since when"],
)
async def test_what_holds_no_key_that_signs_is_replaced_and_that_is_told(
    api: FakeSecret, listed: list[dict[str, str]]
) -> None:
    assert api.secret is not None
    api.secret["data"] = {WITNESS_ENTRY: base64.b64encode(json.dumps(listed).encode()).decode()}
    await api.keyring().current()
    assert [reason for reason, _ in api.told] == ["WitnessKeyLost"]
    assert len(api.listed()) == 1
