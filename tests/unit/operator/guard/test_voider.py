"""Grants whose status cannot be written: void by name in the record, alone, and nobody else's proof waits for them."""

from collections.abc import Callable
from typing import Any, Final

import pytest
import structlog
from hypothesis import given, strategies as st

from bailiwick_api.voidgrants import PER_NAMESPACE, VoidGrant, VoidGrants
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import UnreachableError
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.loop.inventory import Ticks
from bailiwick_operator.reconcile.conditions import Status
from bailiwick_operator.reconcile.guard import is_over, must_void, void_status
from bailiwick_operator.reconcile.transitions import grant_events
from support.objects import Object
from unit.operator.cases import INSTALLATION, NOW, active, grant, right_clock
from unit.operator.fakeapi import FakeApi
from unit.operator.guard.test_guard_keeper import named, phase_of, proven_api, record_of

pytestmark = pytest.mark.invariant(27)

REFUSALS: Final[dict[str, ApiResponse | Exception]] = {
    "too large": ApiResponse(500, {"message": "etcdserver: request is too large"}),
    "a body that nobody reads": ApiResponse(400, {"message": "error converting YAML to JSON"}),
    "a policy of somebody else": ApiResponse(403, {"message": "no"}),
    "no longer valid": ApiResponse(422, {"message": "Invalid value"}),
    "no answer": UnreachableError("no answer within 1 s"),
    "changed on admission": ApiResponse(200, {"metadata": {}, "status": active(counted=[{"reviewer": "dave"}])}),
    "changed on admission in part": ApiResponse(200, {"metadata": {}, "status": {"phase": "Lapsed", "conditions": []}}),
}


def keeper(api: FakeApi) -> GuardKeeper:
    """Return the keeper of a process that has just started, and tries again at each proof."""
    return GuardKeeper(
        api.client, INSTALLATION, Ticks(), interval=0.0, settle=0, now=right_clock().now, proven=lambda: None
    )


async def touched(*names: str) -> FakeApi:
    """Return a server on which these came in while a guard was another."""
    api = await proven_api()
    api.touch_guard()
    for name in names:
        api.store(named(name, "dave", status=active(counted=[{"reviewer": "dave"}])))
    return api


def uid(api: FakeApi, name: str) -> str:
    found: str = api.grants["crm", name]["metadata"]["uid"]
    return found


class TestAGrantThatCannotBeWritten:
    @pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
    async def test_is_void_by_name_and_the_others_are_by_their_status(self, refusal: ApiResponse | Exception) -> None:
        api = await touched("first", "stuck", "last")
        api.unwritable["stuck"] = refusal
        going_on = keeper(api)
        seen = going_on._ticks()
        await going_on.round()
        assert (phase_of(api, "first"), phase_of(api, "last")) == ("Lapsed", "Lapsed")
        assert record_of(api).void == VoidGrants({uid(api, "stuck"): VoidGrant("crm", "stuck")})
        assert going_on.void == record_of(api).void
        assert (going_on.problem, going_on.made_void) == (None, 3)
        assert await going_on.round()
        assert going_on.covers(seen)

    async def test_stays_named_over_every_proof_and_every_process(self) -> None:
        api = await touched("stuck")
        api.unwritable["stuck"] = REFUSALS["too large"]
        for _ in range(3):
            await keeper(api).round()
        api.touch_guard()
        await keeper(api).round()
        assert set(record_of(api).void.grants) == {uid(api, "stuck")}

    async def test_leaves_the_list_once_its_status_says_that_it_is_void(self) -> None:
        api = await touched("stuck")
        api.unwritable["stuck"] = REFUSALS["too large"]
        going_on = keeper(api)
        await going_on.round()
        api.unwritable.clear()
        await going_on.round()
        assert (phase_of(api, "stuck"), len(record_of(api).void), len(going_on.void)) == ("Lapsed", 0, 0)

    @pytest.mark.parametrize("made_anew", [False, True])
    async def test_leaves_the_list_once_it_is_gone(self, made_anew: bool) -> None:
        api = await touched("stuck")
        api.unwritable["stuck"] = REFUSALS["too large"]
        going_on = keeper(api)
        await going_on.round()
        del api.grants["crm", "stuck"]
        if made_anew:
            api.store(named("stuck"))
        await going_on.round()
        assert (len(record_of(api).void), len(going_on.void)) == (0, 0)

    async def test_is_told_of_once(self) -> None:
        api = await touched("stuck")
        api.unwritable["stuck"] = REFUSALS["too large"]
        fallen: list[tuple[str, Status]] = []
        going_on = keeper(api)
        going_on._voider._report = lambda grant, status: fallen.append((grant["metadata"]["name"], status))
        with structlog.testing.capture_logs() as log:
            for _ in range(3):
                await going_on.round()
        told = [entry for entry in log if entry["event"] == "grant is void by name: its status cannot be written"]
        assert [entry["grant"] for entry in told] == ["crm/stuck"]
        assert [(name, grant_events({}, status)[0].reason) for name, status in fallen] == [("stuck", "GuardUnproven")]

    async def test_of_which_there_are_too_many_takes_its_namespace_along_and_no_other(self) -> None:
        names = [f"stuck-{number:03}" for number in range(PER_NAMESPACE + 1)]
        api = await touched(*names, "honest")
        for name in names:
            api.unwritable[name] = REFUSALS["too large"]
        going_on = keeper(api)
        await going_on.round()
        assert record_of(api).void == VoidGrants({}, frozenset({"crm"}))
        # And no longer than it has to.
        for name in names[1:]:
            del api.grants["crm", name]
        await going_on.round()
        assert record_of(api).void == VoidGrants({uid(api, names[0]): VoidGrant("crm", names[0])})

    async def test_is_tried_again_in_turn(self) -> None:
        names = [f"stuck-{number:03}" for number in range(40)]
        api = await touched(*names)
        for name in names:
            api.unwritable[name] = REFUSALS["too large"]
        going_on = keeper(api)
        await going_on.round()
        api.unwritable.clear()
        left = []
        for _ in range(4):
            await going_on.round()
            left.append(len(record_of(api).void))
        assert left == [24, 8, 0, 0]


class TestAGrantThatMovesAllTheTime:
    @staticmethod
    def moving(api: FakeApi, *names: str) -> Callable[[str], None]:
        """Let somebody write these each time just before we do."""

        def moved(what: str) -> None:
            for name in names:
                if f"/{name}/" in what:
                    api.store(api.grants["crm", name])

        return moved

    async def test_is_void_by_name_and_the_others_are_by_their_status(self) -> None:
        api = await touched("first", "moving", "last")
        api.before_write = self.moving(api, "moving")
        going_on = keeper(api)
        await going_on.round()
        assert going_on.problem is None
        assert (phase_of(api, "first"), phase_of(api, "last")) == ("Lapsed", "Lapsed")
        assert record_of(api).void == VoidGrants({uid(api, "moving"): VoidGrant("crm", "moving")})
        api.before_write = lambda _what: None
        await going_on.round()
        assert (phase_of(api, "moving"), len(record_of(api).void)) == ("Lapsed", 0)

    async def test_holds_nothing_up_even_with_ever_new_ones(self) -> None:
        api = await touched("moving-0")
        count = 0

        def ever_more(what: str) -> None:
            nonlocal count
            if "approvalgrants" in what:
                count += 1
                api.store(named(f"moving-{count}"))
                name = what.split("/")[-2]
                api.store(api.grants["crm", name])

        api.before_write = ever_more
        going_on = keeper(api)
        await going_on.round()
        assert going_on.problem is None
        void = record_of(api).void
        assert all(
            void.holds("crm", stored["metadata"]["uid"])
            for (namespace, _), stored in api.grants.items()
            if namespace == "crm" and int(stored["metadata"]["resourceVersion"]) <= record_of(api).version
        )


async def test_without_any_answer_nothing_is_recorded() -> None:
    api = await touched("first", "second", "third")
    before = record_of(api)
    for name in ("first", "second", "third"):
        api.unwritable[name] = UnreachableError("no answer")
    going_on = keeper(api)
    assert not await going_on.round()
    assert (record_of(api), going_on.problem) == (before, "no answer")


anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=8), one, max_size=3),
)
members = st.dictionaries(
    st.sampled_from(["phase", "counted", "voided", "conditions", "uses", "useRecords", "reviews", "request"]), anything
)


@given(status=members | anything, spec=members | anything)
def test_no_object_makes_anybody_raise(status: object, spec: object) -> None:
    body: Object = {**grant(), "spec": spec, "status": status}
    assert must_void(body, 0, INSTALLATION, NOW) is not is_over(body, NOW)
    fallen = void_status(body, NOW)
    assert fallen["phase"] in {"Lapsed", "Expired", "Consumed"}
    grant_events(status if isinstance(status, dict) else {}, fallen)
