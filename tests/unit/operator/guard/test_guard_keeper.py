"""The keeper of the proof: what it records, what it makes void, and that a crash at any point forges nothing."""

import asyncio
import copy
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

import pytest

from bailiwick_api.accounts import GUARD_CONFIG_MAP, REVIEWERS_SERIAL_ENTRY, WITNESS_KEYS_ENTRY
from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_engine.approval import apiroutes, definitions
from bailiwick_engine.approval.apiroutes import REQUIRED
from bailiwick_kube.paths import grants_path
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_operator.guard.keep import KeepWatch
from bailiwick_operator.guard.keeper import GuardKeeper
from bailiwick_operator.guard.prover import Prover
from bailiwick_operator.kube import GRANTS_PATH, OperatorClient
from bailiwick_operator.loop.inventory import Ticks
from bailiwick_operator.reconcile.guard import KeepState, Record, read_record
from bailiwick_operator.reconcile.transitions import EventDraft
from support.objects import Object
from support.transport import FakeTransport
from unit.operator.cases import INSTALLATION, active, grant, right_clock
from unit.operator.fakeapi import Crash, FakeApi


def keeper(
    api: FakeApi,
    ticks: Ticks | None = None,
    proven: Callable[[], None] = lambda: None,
    tell: Callable[[EventDraft], None] = lambda _told: None,
    keep: KeepWatch | None = None,
) -> GuardKeeper:
    """Return the keeper of a process that has just started."""
    return GuardKeeper(
        api.client,
        INSTALLATION,
        ticks or Ticks(),
        interval=60,
        settle=0,
        now=right_clock().now,
        proven=proven,
        tell=tell,
        keep=keep,
    )


def named(name: str, *reviewers: str, status: Object | None = None) -> Object:
    """Return a grant to be stored."""
    body = grant(*reviewers, status=status)
    return body | {"metadata": {"namespace": "crm", "name": name}}


def record_of(api: FakeApi) -> Record:
    record = read_record(api.config_map)
    assert record is not None
    return record


def data_of(api: FakeApi) -> dict[str, str]:
    assert api.config_map is not None
    data: dict[str, str] = api.config_map["data"]
    return data


def phase_of(api: FakeApi, name: str) -> str | None:
    return (api.grants["crm", name].get("status") or {}).get("phase")


async def proven_api() -> FakeApi:
    """Return a server whose guard is recorded."""
    api = FakeApi()
    fresh = keeper(api)
    assert not await fresh.round()
    assert await fresh.round()
    api.writes.clear()
    return api


@pytest.mark.invariant(30)
class TestTheSerialOfTheReviewersFile:
    """What removes it from the record brings no removed key back, neither in this process nor in the next."""

    FLOOR = "7 sha256:" + "0" * 64

    async def test_is_recorded_from_the_first_proof_on(self) -> None:
        assert data_of(await proven_api())[REVIEWERS_SERIAL_ENTRY] == ""

    @pytest.mark.parametrize("entry", [None, "", "1 sha256:" + "0" * 64, "what no operator writes"])
    @pytest.mark.parametrize("same_guard", [True, False])
    async def test_is_written_back(self, entry: str | None, same_guard: bool) -> None:
        api = await proven_api()
        data_of(api)[REVIEWERS_SERIAL_ENTRY] = self.FLOOR
        events: list[EventDraft] = []
        going_on = keeper(api, tell=events.append)
        await going_on.round()
        assert data_of(api)[REVIEWERS_SERIAL_ENTRY] == self.FLOOR
        if entry is None:
            del data_of(api)[REVIEWERS_SERIAL_ENTRY]
        else:
            data_of(api)[REVIEWERS_SERIAL_ENTRY] = entry
        if not same_guard:
            api.touch_guard()
        await going_on.round()
        assert data_of(api)[REVIEWERS_SERIAL_ENTRY] == self.FLOOR
        assert "ReviewersSerialFell" in [event.reason for event in events]


@pytest.mark.invariant(27)
class TestARecordThatSomebodyElseWrote:
    """Whoever may write ConfigMaps fits it to a guard that was put back; the process that leads wrote another one."""

    async def test_does_not_count_while_its_writer_leads(self) -> None:
        api, events = await proven_api(), list[EventDraft]()
        going_on = keeper(api, tell=events.append)
        assert await going_on.round()
        api.touch_guard()
        api.store(named("forged", "dave", status=active()))
        proof = await Prover(api.client, INSTALLATION, right_clock().now).prove()
        data_of(api).update(fingerprint=proof.fingerprint, resourceVersion=str(proof.floor))
        assert not await going_on.round()
        assert phase_of(api, "forged") == "Lapsed"
        assert [event.reason for event in events] == ["GuardRecordChanged", "GuardChanged"]
        events.clear()
        assert await going_on.round()
        assert events == []

    @pytest.mark.parametrize(
        ("entry", "text"), [("resourceVersion", "1"), ("fingerprint", "sha256:0"), ("storeUID", "another")]
    )
    async def test_is_written_back_where_nothing_else_changed(self, entry: str, text: str) -> None:
        api, events = await proven_api(), list[EventDraft]()
        api.store(named("honest", "dave", status=active()))
        going_on = keeper(api, tell=events.append)
        assert await going_on.round()
        data_of(api)[entry] = text
        assert await going_on.round()
        assert (data_of(api)[entry] != text, phase_of(api, "honest")) == (True, "Active")
        assert [event.reason for event in events] == ["GuardRecordChanged"]

    async def test_is_told_of_once_it_is_compared_and_not_with_each_proof_that_fails(self) -> None:
        api, events = await proven_api(), list[EventDraft]()
        going_on = keeper(api, tell=events.append)
        assert await going_on.round()
        data_of(api)["fingerprint"] = "sha256:0"
        api.enforced = False
        for _ in range(3):
            await going_on.round()
        assert [event.reason for event in events] == ["GuardNotProven"]
        api.enforced = True
        await going_on.round()
        assert [event.reason for event in events[1:]] == ["GuardRecordChanged", "GuardProven"]

    async def test_is_as_good_as_none_once_it_is_deleted(self) -> None:
        api = await proven_api()
        api.store(named("honest", "dave", status=active()))
        going_on = keeper(api)
        assert await going_on.round()
        api.config_map = None
        assert not await going_on.round()
        assert phase_of(api, "honest") == "Lapsed"


class TestTheFirstProof:
    async def test_makes_void_what_was_there_before(self) -> None:
        api = FakeApi()
        api.store(named("early", "dave"))
        await keeper(api).round()
        assert phase_of(api, "early") == "Expired"
        assert api.grants["crm", "early"]["status"]["voided"] == [{"reviewer": "dave"}]

    async def test_tells_of_what_it_made_void(self) -> None:
        api = FakeApi()
        early = api.store(named("early", "dave"))
        told: list[tuple[Object, Object]] = []

        def fallen(grant: Object, status: Object) -> None:
            told.append((grant, status))

        fresh = GuardKeeper(
            api.client,
            INSTALLATION,
            Ticks(),
            interval=60,
            settle=0,
            now=right_clock().now,
            proven=lambda: None,
            report_void=fallen,
        )
        await fresh.round()
        await fresh.round()
        assert [(grant["metadata"]["uid"], status["phase"]) for grant, status in told] == [
            (early["metadata"]["uid"], "Expired")
        ]

    async def test_covers_nothing_and_the_next_one_does(self) -> None:
        api, ticks = FakeApi(), Ticks()
        fresh, seen = keeper(api, ticks), ticks()
        await fresh.round()
        assert not fresh.covers(seen)
        await fresh.round()
        assert fresh.covers(seen)

    async def test_leaves_the_canary_alone(self) -> None:
        api = FakeApi()
        await keeper(api).round()
        assert [write for write in api.writes if "bailiwick-canary" in write] == []


class TestAProofOfTheSameGuard:
    async def test_makes_nothing_void_however_long_nobody_was_there(self) -> None:
        api = await proven_api()
        api.store(named("honest", "dave"))
        api.store(named("used", "dave", status=active()))
        assert await keeper(api).round()
        assert (phase_of(api, "honest"), phase_of(api, "used")) == (None, "Active")

    async def test_covers_what_was_seen_before_it_began_and_nothing_else(self) -> None:
        api, ticks = await proven_api(), Ticks()
        going_on = keeper(api, ticks)
        before = ticks()
        await going_on.round()
        after = ticks()
        assert going_on.covers(before)
        assert not going_on.covers(after)

    async def test_records_the_version_from_before_the_guards_were_read(self) -> None:
        api = await proven_api()
        floor = api.revision

        def written_meanwhile(path: str) -> None:
            if path in api.guards:
                api.before_read = lambda _path: None
                api.store(named("meanwhile"))

        api.before_read = written_meanwhile
        await keeper(api).round()
        assert record_of(api).version == floor

    async def test_tells_whoever_waits(self) -> None:
        told: list[bool] = []
        api = await proven_api()
        await keeper(api, proven=lambda: told.append(True)).round()
        assert told == [True]


@pytest.mark.invariant(27)
class TestAGuardThatIsNotInForce:
    @pytest.mark.parametrize("how", ["gone", "changed", "without effect", "RBAC", "a lookalike", "another rule"])
    async def test_is_never_recorded_and_covers_nothing(self, how: str) -> None:
        api, ticks = await proven_api(), Ticks()
        going_on, seen = keeper(api, ticks), ticks()
        await going_on.round()
        before = record_of(api)
        if how == "without effect":
            api.enforced = False
        elif how in {"RBAC", "a lookalike", "another rule"}:
            api.refused_by = how
        else:
            path = min(api.guards)
            if how == "gone":
                del api.guards[path]
            else:
                api.guards[path]["spec"] = {}
                api.guards[path]["metadata"]["resourceVersion"] = "changed"
        assert not await going_on.round()
        assert not going_on.covers(seen)
        assert going_on.problem is not None
        assert record_of(api) == before

    @pytest.mark.parametrize("name", [*REQUIRED, "v1beta1.bailiwick.dev"])
    @pytest.mark.parametrize("how", ["another server", "going", "gone", "unreadable"])
    async def test_is_one_whose_group_may_be_answered_by_another_server(self, how: str, name: str) -> None:
        api, ticks = await proven_api(), Ticks()
        going_on, seen = keeper(api, ticks), ticks()
        await going_on.round()
        before = record_of(api)
        metadata = {"name": name, "uid": "theirs", "resourceVersion": "7"}
        match how:
            case "another server":
                api.routes[name] = {"metadata": metadata, "spec": {"service": {"name": "x", "namespace": "y"}}}
            case "going":
                api.routes[name] = {"metadata": {**metadata, "deletionTimestamp": "now"}, "spec": {}}
            case "gone":
                del api.routes[REQUIRED[0] if name not in REQUIRED else name]
            case _:
                api.routes_answer = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "apiservices is forbidden"})
        assert not await going_on.round()
        assert not going_on.covers(seen)
        assert ("APIService" in (going_on.problem or ""), record_of(api)) == (True, before)

    async def test_is_one_whose_group_was_redirected_and_put_back_between_two_looks(self) -> None:
        api = await proven_api()
        going_on = keeper(api)
        api.store(named("old", "dave", status=active()))
        await going_on.round()
        api.store(named("forged", "dave", status=active(counted=[{"reviewer": "dave"}])))
        api.routes[REQUIRED[0]]["metadata"]["resourceVersion"] = "9"
        await going_on.round()
        assert (phase_of(api, "old"), phase_of(api, "forged")) == ("Active", "Lapsed")

    async def test_is_none_where_somebody_elses_group_is_served_elsewhere_or_changes(self) -> None:
        api = await proven_api()
        before = record_of(api).fingerprint
        api.routes["v1beta1.metrics.k8s.io"]["metadata"]["resourceVersion"] = "99"
        assert await keeper(api).round()
        assert record_of(api).fingerprint == before

    async def test_lets_nothing_count_that_came_while_it_was_not(self) -> None:
        api = await proven_api()
        going_on = keeper(api)
        api.enforced = False
        await going_on.round()
        api.store(named("forged", "dave", status=active(counted=[{"reviewer": "dave"}])))
        api.touch_guard()
        api.enforced = True
        await going_on.round()
        assert phase_of(api, "forged") == "Lapsed"

    async def test_says_what_is_wrong(self) -> None:
        api = await proven_api()
        api.enforced = False
        going_on = keeper(api)
        await going_on.round()
        assert "bailiwick-grants-open is not in force" in (going_on.problem or "")


@pytest.mark.invariant(27)
class TestADefinitionOfOthersInOurGroup:
    async def test_leaves_the_guards_unproven_and_says_what_to_delete(self) -> None:
        api = await proven_api()
        api.foreign.append("evils.bailiwick.dev")
        going_on = keeper(api)
        await going_on.round()
        assert "CustomResourceDefinition evils.bailiwick.dev is not Bailiwick's" in (going_on.problem or "")
        assert "Delete each CustomResourceDefinition that is named here" in (going_on.problem or "")

    async def test_makes_void_what_came_while_it_was_there_though_no_guard_has_changed(self) -> None:
        api = await proven_api()
        going_on = keeper(api)
        api.foreign.append("evils.bailiwick.dev")
        await going_on.round()
        api.store(named("forged", "dave", status=active(counted=[{"reviewer": "dave"}])))
        api.foreign.clear()
        await going_on.round()
        assert phase_of(api, "forged") == "Lapsed"
        api.store(named("honest", "dave", status=active(counted=[{"reviewer": "dave"}])))
        await going_on.round()
        assert phase_of(api, "honest") == "Active"

    @pytest.mark.parametrize("also", ["a group is redirected", "the routes are hidden", "the record is unreadable"])
    async def test_is_remembered_whatever_else_is_wrong_at_that_time(self, also: str) -> None:
        api = await proven_api()
        going_on = keeper(api)
        assert await going_on.round()
        api.foreign.append("evils.bailiwick.dev")
        routes = copy.deepcopy(api.routes)
        match also:
            case "a group is redirected":
                api.routes[REQUIRED[0]]["spec"]["service"] = {"name": "x", "namespace": "y"}
            case "the routes are hidden":
                api.routes_answer = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "apiservices is forbidden"})
            case _:
                api.config_map_answer = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "configmaps is forbidden"})
        await going_on.round()
        api.store(named("forged", "dave", status=active(counted=[{"reviewer": "dave"}])))
        api.foreign.clear()
        api.routes, api.routes_answer, api.config_map_answer = routes, None, None
        await going_on.round()
        assert phase_of(api, "forged") == "Lapsed"


class Impostor(FakeTransport):
    """The way to an API server whose groups somebody redirects for one moment, puts back, and leaves alone after it.

    The moment is after the APIServices were read, while the guards are read; while grants are listed to make them void;
    or when one that is void by name is tried again. The other server answers as if the guards had never been changed,
    and as if there were no grants.
    """

    def __init__(self, api: FakeApi, at: str) -> None:
        super().__init__(api.transport.answer)
        self._api, self._guards, self._at = api, copy.deepcopy(api.guards), at
        self._routes_read = self._put_back = False

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        if self._put_back:
            return await super().call(request, most=most)
        if self._at == "guards" and request.path in self._guards:
            # Guards are answered late. But a proof that reads them before the APIServices is not held up for ever.
            for _ in range(99):
                await asyncio.sleep(0)
            if self._routes_read:
                self._redirect(REQUIRED[1])
                return ApiResponse(HTTPStatus.OK, copy.deepcopy(self._guards[request.path]))
        if request.path == GRANTS_PATH and self._at == "list" and (request.query or {}).get("limit") != "1":
            self._redirect(REQUIRED[0])
            self._put_back = True
            return ApiResponse(HTTPStatus.OK, {"metadata": {"resourceVersion": str(self._api.revision)}, "items": []})
        if request.path == grants_path("crm", "forged") and self._at == "retry":
            self._redirect(REQUIRED[0])
            self._put_back = True
            return ApiResponse(HTTPStatus.NOT_FOUND, {})
        if "dryRun" in (request.query or {}) and self._at == "guards":
            self._put_back = True
        answer = await super().call(request, most=most)
        self._routes_read = self._routes_read or request.path == apiroutes.PATH
        return answer

    def _redirect(self, name: str) -> None:
        """Redirect a group and put it back: its APIService has another version from then on."""
        self._api.routes[name]["metadata"]["resourceVersion"] = "9"


class RecordForger(FakeTransport):
    """The way to an API server whose core group somebody redirects for the moment in which the record is read.

    The other server fits the record to the guards. It can hold its answer until the group is put back, and fit the
    record to that, too.
    """

    def __init__(self, api: FakeApi, *, reads: int, holds: bool) -> None:
        super().__init__(api.transport.answer)
        self._api, self._left, self._holds = api, reads, holds

    async def call(self, request: ApiRequest, *, most: int | None = None) -> ApiResponse:
        answer = await super().call(request, most=most)
        if request.method != "GET" or not request.path.endswith(f"/configmaps/{GUARD_CONFIG_MAP}"):
            return answer
        self._left -= 1
        if self._left == 0:
            asked, stored = (
                OperatorClient(FakeTransport(self.answer), lambda: True),
                self._api.routes["v1."]["metadata"],
            )
            stored["resourceVersion"] = "9" if self._holds else stored["resourceVersion"]
            fitted = await Prover(asked, INSTALLATION, right_clock().now).prove()
            stored["resourceVersion"] = "9"
            answer.body["data"] |= {"fingerprint": fitted.fingerprint, "resourceVersion": str(fitted.floor)}
        return answer


@pytest.mark.invariant(27)
class TestAGroupThatIsRedirectedForAMoment:
    @pytest.mark.parametrize("holds", [False, True])
    @pytest.mark.parametrize("reads", [1, 2, 3])
    async def test_gives_a_process_that_has_just_started_no_record_of_its_own(self, reads: int, holds: bool) -> None:
        api = await proven_api()
        api.touch_guard()
        api.store(named("forged", "dave", status=active(counted=[{"reviewer": "dave"}])))
        api.client = OperatorClient(RecordForger(api, reads=reads, holds=holds), lambda: True)
        going_on = keeper(api)
        for _ in range(4):
            await going_on.round()
        assert (going_on.problem, phase_of(api, "forged")) == (None, "Lapsed")

    @pytest.mark.parametrize("at", ["guards", "list"])
    async def test_lets_nothing_count_that_came_while_a_guard_was_loosened(self, at: str) -> None:
        api = await proven_api()
        api.client = OperatorClient(Impostor(api, at), lambda: True)
        going_on = keeper(api)
        api.touch_guard()
        api.store(named("forged", "dave", status=active(counted=[{"reviewer": "dave"}])))
        for _ in range(4):
            await going_on.round()
        assert (going_on.problem, phase_of(api, "forged")) == (None, "Lapsed")

    async def test_leaves_void_by_name_what_could_not_be_made_void(self) -> None:
        api = await proven_api()
        api.touch_guard()
        forged = api.store(named("forged", "dave", status=active(counted=[{"reviewer": "dave"}])))
        api.unwritable["forged"] = ApiResponse(HTTPStatus.FORBIDDEN, {"message": "no"})
        assert not await keeper(api).round()
        api.client = OperatorClient(Impostor(api, "retry"), lambda: True)
        going_on = keeper(api)
        for _ in range(4):
            await going_on.round()
        assert (going_on.problem, record_of(api).void.holds("crm", forged["metadata"]["uid"])) == (None, True)


@pytest.mark.invariant(27)
class TestAGuardThatWasTouched:
    async def test_leaves_what_was_there_before_the_last_proof(self) -> None:
        api = await proven_api()
        api.store(named("old", "dave", status=active()))
        await keeper(api).round()
        api.touch_guard()
        await keeper(api).round()
        assert phase_of(api, "old") == "Active"

    async def test_makes_void_what_came_after_it(self) -> None:
        api = await proven_api()
        api.touch_guard()
        api.store(named("forged", "dave"))
        api.store(named("forged-status", "dave", status=active(counted=[{"reviewer": "dave"}])))
        await keeper(api).round()
        assert (phase_of(api, "forged"), phase_of(api, "forged-status")) == ("Expired", "Lapsed")

    async def test_is_not_recorded_when_it_is_touched_again_while_it_settles(self) -> None:
        api = await proven_api()
        before = record_of(api)
        api.touch_guard()
        reads = 0

        def touched(path: str) -> None:
            nonlocal reads
            reads += path == definitions.PATH
            # The third proof is the one after they settled.
            if path == definitions.PATH and reads == 3:
                api.touch_guard()

        api.before_read = touched
        going_on = keeper(api)
        assert not await going_on.round()
        assert "changed during the proof" in (going_on.problem or "")
        assert record_of(api) == before

    async def test_makes_void_what_moved_between_list_and_write(self) -> None:
        api = await proven_api()
        api.touch_guard()
        api.store(named("forged"))

        def reviewed(_what: str) -> None:
            api.before_write = lambda _what: None
            forged = api.grants["crm", "forged"]
            api.store(forged | {"spec": named("forged", "dave")["spec"]})

        api.before_write = reviewed
        await keeper(api).round()
        assert api.grants["crm", "forged"]["status"]["voided"] == [{"reviewer": "dave"}]

    async def test_does_not_overwrite_the_record_of_another_leader(self) -> None:
        api = await proven_api()
        api.touch_guard()

        def another(what: str) -> None:
            assert api.config_map is not None
            if "configmaps" in what:
                api.config_map["metadata"]["resourceVersion"] = "another"

        api.before_write = another
        going_on = keeper(api)
        before = record_of(api)
        assert not await going_on.round()
        assert record_of(api) == before
        assert "cannot be recorded" in (going_on.problem or "")


@pytest.mark.invariant(27)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(5))
async def test_a_crash_at_any_write_makes_the_same_things_void_again(number: int, when: str) -> None:
    api = await proven_api()
    api.touch_guard()
    api.store(named("forged-review", "dave"))
    api.store(named("forged-status", "dave", status=active(counted=[{"reviewer": "dave"}])))
    api.store(named("forged-counted", "dave", status={"phase": "Pending", "counted": [{"reviewer": "dave"}]}))
    old = record_of(api)
    api.crash_at = lambda at, what: (at, what) == (number, when)
    with suppress(Crash):
        await keeper(api).round()
    names = ("forged-review", "forged-status", "forged-counted")
    if record_of(api) != old:
        # Once it is recorded, nothing is left that could count.
        assert {phase_of(api, name) for name in names} <= TERMINAL_PHASES
    api.crash_at = lambda _at, _what: False
    restarted = keeper(api)
    while not await restarted.round():
        pass
    assert [phase_of(api, name) for name in names] == ["Expired", "Lapsed", "Expired"]
    assert api.grants["crm", "forged-review"]["status"]["voided"] == [{"reviewer": "dave"}]


@pytest.mark.invariant(27)
class TestARecordThatIsGone:
    async def test_makes_everything_void_that_is_not_over(self) -> None:
        api = await proven_api()
        api.store(named("honest", "dave", status=active()))
        await keeper(api).round()
        api.config_map = None
        await keeper(api).round()
        assert phase_of(api, "honest") == "Lapsed"
        assert record_of(api).fingerprint.startswith("sha256:")

    async def test_and_one_that_nobody_can_read_are_the_same(self) -> None:
        api = await proven_api()
        api.store(named("honest", "dave", status=active()))
        await keeper(api).round()
        assert api.config_map is not None
        data_of(api)["resourceVersion"] = "many"
        await keeper(api).round()
        assert phase_of(api, "honest") == "Lapsed"


class TestACanaryThatSomebodyWroteTo:
    async def test_is_made_anew_or_nothing_is_proven(self) -> None:
        api = await proven_api()
        key = (INSTALLATION.namespace, "bailiwick-canary")
        api.store(api.grants[key] | {"status": active()})
        going_on = keeper(api)
        with pytest.raises(AssertionError):
            # The fake knows no deletion, and that it is asked for one is the point.
            await going_on.round()
        assert api.grants[key]["status"]["phase"] == "Lapsed"


@pytest.mark.invariant(27)
class TestWhoBreaksTheGlass:
    async def test_ab_50_is_told_of_once_and_counted_and_that_it_is_whole_again(self) -> None:
        api = await proven_api()
        told = list[EventDraft]()
        going_on = keeper(api, tell=told.append)
        await going_on.round()
        assert (going_on.falls, told) == (0, [])
        api.enforced = False
        for _ in range(3):
            await going_on.round()
        assert [(one.type, one.reason) for one in told] == [("Warning", "GuardNotProven")]
        assert "is not in force" in told[0].note
        assert going_on.falls == 1
        api.store(named("forged", "dave"))
        api.touch_guard()
        api.enforced = True
        await going_on.round()
        await going_on.round()
        assert [(one.type, one.reason) for one in told[1:]] == [("Warning", "GuardChanged"), ("Normal", "GuardProven")]
        assert "1 grants written in the meantime are void" in told[1].note
        assert (going_on.falls, going_on.made_void) == (1, 1)

    async def test_ab_50_and_mends_it_before_anybody_looks_is_told_of_all_the_same(self) -> None:
        api = await proven_api()
        told = list[EventDraft]()
        going_on = keeper(api, tell=told.append)
        await going_on.round()
        api.touch_guard()
        await going_on.round()
        assert [(one.type, one.reason) for one in told] == [("Warning", "GuardChanged")]
        assert going_on.falls == 1

    async def test_is_not_the_api_server_that_is_away(self) -> None:
        api = await proven_api()
        told = list[EventDraft]()
        going_on = keeper(api, tell=told.append)
        await going_on.round()

        def away(_path: str) -> None:
            raise UnreachableError

        api.before_read = away
        await going_on.round()
        assert going_on.problem is not None
        assert (going_on.falls, told) == (0, [])


def _silent(_path: str) -> None:
    raise UnreachableError


def _unasked(request: ApiRequest) -> ApiResponse:
    raise AssertionError(request)


class KeptAt(KeepWatch):
    """A watch whose looks are over, with this result."""

    def __init__(self, state: KeepState | None, *, required: bool) -> None:
        super().__init__(
            FakeApi().client, INSTALLATION, lambda _server: FakeTransport(_unasked), interval=60, required=required
        )
        self.state = state


class TestKeep:
    @pytest.mark.parametrize("required", [False, True])
    async def test_is_recorded_with_each_proof(self, required: bool) -> None:
        api = await proven_api()
        assert await keeper(api, keep=KeptAt(KeepState(3, 0, 0, None), required=required)).round()
        assert record_of(api).keep == "3/3"

    async def test_that_is_missing_is_recorded_and_no_more_where_it_is_not_required(self) -> None:
        api = await proven_api()
        assert await keeper(api, keep=KeptAt(KeepState(2, 1, 0, "one has none"), required=False)).round()
        assert record_of(api).keep == "2/3"

    @pytest.mark.invariant(27)
    @pytest.mark.parametrize("state", [None, KeepState(2, 1, 0, "one has none"), KeepState(2, 0, 1, "one is silent")])
    async def test_that_is_required_and_not_shown_everywhere_leaves_the_guards_unproven(
        self, state: KeepState | None
    ) -> None:
        api, ticks = await proven_api(), Ticks()
        recorded, keep = record_of(api), KeptAt(state, required=True)
        going_on, seen = keeper(api, ticks, keep=keep), ticks()
        assert not await going_on.round()
        assert not going_on.covers(seen)
        assert going_on.problem is not None
        assert record_of(api) == recorded
        keep.state = KeepState(3, 0, 0, None)
        assert await going_on.round()
        assert going_on.covers(seen)


class TestTheKeysOfTheWitness:
    KEYS = "one\ntwo\n"

    async def test_stand_beside_the_record_and_stay_there(self) -> None:
        api = await proven_api()
        fresh = keeper(api)
        before = record_of(api)
        fresh.publish(self.KEYS)
        for _ in range(2):
            assert await fresh.round()
            assert data_of(api)[WITNESS_KEYS_ENTRY] == self.KEYS
        assert record_of(api).fingerprint == before.fingerprint
        # One who leads next and has not read them yet leaves them alone.
        assert await keeper(api).round()
        assert data_of(api)[WITNESS_KEYS_ENTRY] == self.KEYS

    async def test_are_put_back_where_somebody_changed_them(self) -> None:
        api = await proven_api()
        fresh = keeper(api)
        fresh.publish(self.KEYS)
        assert await fresh.round()
        data_of(api)[WITNESS_KEYS_ENTRY] = "another\n"
        assert await fresh.round()
        assert data_of(api)[WITNESS_KEYS_ENTRY] == self.KEYS

    async def test_are_published_though_the_guards_are_not_proven(self) -> None:
        api = FakeApi()
        api.guards.clear()
        fresh = keeper(api)
        fresh.publish(self.KEYS)
        assert not await fresh.round()
        assert fresh.problem is not None
        assert data_of(api) == {WITNESS_KEYS_ENTRY: self.KEYS}
        assert read_record(api.config_map) is None
