"""What is told to whom: once, to the right targets, and after a restart neither too little nor everything again."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bailiwick_api.manifests.canary import canary
from bailiwick_api.times import stamp
from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, UnreachableError
from bailiwick_notifications.notification import Notification
from bailiwick_notifications.pace import DeliveryTerms
from bailiwick_notifications.sending.attempt import DELIVERED, DeliveryAttempt
from bailiwick_notifications.targets import Target
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.loop.clock import Clock
from bailiwick_operator.notify.notifier import MARGIN, Notifier
from bailiwick_operator.notify.sources import NAMESPACE_SECONDS, TargetSources
from bailiwick_operator.notifyflags import NotifySettings
from bailiwick_operator.reconcile.transitions import EventDraft
from support.objects import Object, opened_grant
from support.transport import FakeTransport
from support.virtualtime import VirtualTime, virtual_time
from unit.operator.cases import INSTALLATION

__all__ = ["virtual_time"]

SETTINGS = NotifySettings(namespaces=True, terms=DeliveryTerms(per_minute=1000))
CHAT = {"chat": base64.b64encode(b"json://example.com/").decode()}
BEGAN = datetime.fromisoformat("2026-11-27T12:00:00Z")


class World:
    """Targets, an API server with Secrets, and what was sent to whom."""

    def __init__(self, time: VirtualTime, folder: Path) -> None:
        self._time, self._zero = time, time.now
        self.folder = folder
        self.secrets: dict[str, ApiResponse | Exception] = {}
        self.asked: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.types: list[str] = []
        self.hangs: set[str] = set()
        self.offset = timedelta()

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self._time.now - self._zero) + self.offset

    def answer(self, request: ApiRequest) -> ApiResponse:
        assert request.method == "GET"
        self.asked.append(request.path)
        answer = self.secrets.get(request.path.split("/")[4], ApiResponse(404, {}))
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send(self, target: Target, told: Notification, *, holder: str, failing: bool = False) -> DeliveryAttempt:
        if target.name in self.hangs:
            await asyncio.sleep(10)
            return DeliveryAttempt("failed", "it hangs")
        self.sent.append((target.name, told.id))
        self.types.append(told.type)
        return DELIVERED

    def has(self, namespace: str, **data: str) -> None:
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
        self.secrets[namespace] = ApiResponse(200, {"data": encoded})

    def notifier(self, before: datetime | None = None, settings: NotifySettings = SETTINGS) -> Notifier:
        kube = OperatorClient(FakeTransport(self.answer), lambda: True)
        clock = Clock(FakeTransport(self.answer).clock)
        clock.now = self.now  # type: ignore[method-assign]
        clock.monotonic = self._time.monotonic  # type: ignore[misc]
        settings = replace(settings, folder=self.folder)
        sources = TargetSources(kube, self.folder, namespaces=settings.namespaces, clock=self._time.monotonic)
        senders = {"installation": self, "namespace": self}
        return Notifier(settings, sources, senders, clock, before=before, may_send=lambda: True)  # type: ignore[arg-type]

    @asynccontextmanager
    async def running(self, notifier: Notifier, *, listed: bool = True) -> AsyncIterator[Notifier]:
        run = asyncio.create_task(notifier.run())
        if listed:
            notifier.listed()
        yield notifier
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    def grant(self, number: int = 1, namespace: str = "crm", phase: str = "Pending", **more: object) -> Object:
        body = opened_grant(namespace, f"wanted-{number}", pendingUntilTime=stamp(self.now() + timedelta(hours=1)))
        body["metadata"] |= {"uid": f"uid-{number}", "creationTimestamp": stamp(self.now())}
        conditions = [{"type": name, "lastTransitionTime": stamp(self.now())} for name in ("Ready", phase)]
        body["status"] = {"phase": phase, "conditions": conditions, **more}
        return body


@pytest.fixture
def world(virtual_time: VirtualTime, tmp_path: Path) -> World:
    (tmp_path / "chat").write_text("json://example.com/")
    return World(virtual_time, tmp_path)


async def test_each_event_is_told_once_however_often_a_grant_is_seen(world: World) -> None:
    async with world.running(world.notifier()) as notifier:
        body = world.grant()
        for _ in range(3):
            notifier.grant_changed(body, gone=False)
            await asyncio.sleep(1)
        assert world.sent == [("chat", "uid-1.pending")]
        denied = world.grant(phase="Denied")
        notifier.grant_changed(denied, gone=False)
        await asyncio.sleep(1)
        assert world.sent[1:] == [("chat", "uid-1.denied")]


async def test_time_alone_tells_that_one_is_about_to_end(world: World) -> None:
    async with world.running(world.notifier()) as notifier:
        notifier.grant_changed(world.grant(), gone=False)
        await asyncio.sleep(47 * 60)
        assert world.sent == [("chat", "uid-1.pending")]
        await asyncio.sleep(2 * 60)
        assert world.sent[1:] == [("chat", "uid-1.ending")]


async def test_one_that_was_decided_or_deleted_meanwhile_is_not_about_to_end(world: World) -> None:
    async with world.running(world.notifier()) as notifier:
        notifier.grant_changed(world.grant(1), gone=False)
        notifier.grant_changed(world.grant(2), gone=False)
        await asyncio.sleep(60)
        notifier.grant_changed(world.grant(1, phase="Denied"), gone=False)
        notifier.grant_changed(world.grant(2), gone=True)
        await asyncio.sleep(2 * 3600)
        assert notifier._bodies == {}
        assert not [id_ for _, id_ in world.sent if id_.endswith(".ending")]


async def test_a_namespace_hears_of_its_own_grants_alone(world: World) -> None:
    world.has("crm", team="json://team.example.com/")
    world.has("vault", others="json://others.example.com/")
    async with world.running(world.notifier()) as notifier:
        notifier.grant_changed(world.grant(1, "crm"), gone=False)
        await asyncio.sleep(1)
        assert sorted(world.sent) == [("chat", "uid-1.pending"), ("team", "uid-1.pending")]
        notifier.tell(EventDraft("Warning", "Prove", "GuardNotProven", "it is loose"))
        await asyncio.sleep(1)
        assert [target for target, _ in world.sent] == ["chat", "team", "chat"]
    assert set(world.asked) == {"/api/v1/namespaces/crm/secrets/bailiwick-notifications"}


@pytest.mark.parametrize(
    ("reason", "type_"),
    [
        ("GuardNotProven", "dev.bailiwick.guard.unproven"),
        ("GuardChanged", "dev.bailiwick.guard.changed"),
        ("GuardRecordChanged", "dev.bailiwick.guard.record-changed"),
        ("GuardProven", "dev.bailiwick.guard.proven"),
        ("LogInconsistent", "dev.bailiwick.log.refused"),
        ("LogRejected", "dev.bailiwick.log.refused"),
    ],
)
async def test_the_installation_hears_of_its_guards_and_logs(world: World, reason: str, type_: str) -> None:
    async with world.running(world.notifier()) as notifier:
        notifier.tell(EventDraft("Warning", "Prove", reason, "this is why"))
        await asyncio.sleep(1)
    assert [target for target, _ in world.sent] == ["chat"]
    assert world.types == [type_]


async def test_a_secret_is_read_when_somebody_is_to_be_told_and_kept_for_a_while(world: World) -> None:
    world.has("crm", team="json://team.example.com/")
    async with world.running(world.notifier()) as notifier:
        await asyncio.sleep(1)
        assert world.asked == []
        for number in range(5):
            notifier.grant_changed(world.grant(number), gone=False)
            await asyncio.sleep(1)
        assert len(world.asked) == 1
        await asyncio.sleep(NAMESPACE_SECONDS)
        world.has("crm", other="json://other.example.com/")
        notifier.grant_changed(world.grant(6), gone=False)
        await asyncio.sleep(1)
        assert ("other", "uid-6.pending") in world.sent
        assert ("team", "uid-6.pending") not in world.sent


async def test_no_secret_is_read_where_namespaces_have_no_targets(world: World) -> None:
    world.has("crm", team="json://team.example.com/")
    async with world.running(world.notifier(settings=replace(SETTINGS, namespaces=False))) as notifier:
        notifier.grant_changed(world.grant(), gone=False)
        await asyncio.sleep(1)
        assert world.sent == [("chat", "uid-1.pending")]
        assert world.asked == []


@pytest.mark.parametrize(
    "answer",
    [UnreachableError("away"), ApiResponse(500, {"message": "broken"}), ApiResponse(403, {}), ApiResponse(404, {})],
    ids=["away", "broken", "forbidden", "none"],
)
async def test_a_namespace_whose_secret_cannot_be_read_holds_up_nobody(
    world: World, answer: ApiResponse | Exception
) -> None:
    world.secrets["vault"] = answer
    world.has("crm", team="json://team.example.com/")
    async with world.running(world.notifier()) as notifier:
        notifier.grant_changed(world.grant(1, "vault"), gone=False)
        notifier.grant_changed(world.grant(2, "crm"), gone=False)
        await asyncio.sleep(5)
        assert ("team", "uid-2.pending") in world.sent
        assert ("chat", "uid-1.pending") in world.sent
        world.has("vault", others="json://others.example.com/")
        await asyncio.sleep(5)
        assert (("others", "uid-1.pending") in world.sent) is (isinstance(answer, Exception) or answer.status == 500)


async def test_a_target_that_hangs_holds_up_no_other(world: World) -> None:
    (world.folder / "hanging").write_text("json://example.com/")
    world.hangs.add("hanging")
    async with world.running(world.notifier()) as notifier:
        for number in range(50):
            notifier.grant_changed(world.grant(number), gone=False)
        await asyncio.sleep(1)
        assert len(world.sent) == 50
        assert notifier.waiting("installation") == 50
        await asyncio.sleep(20)
        assert notifier.failing("installation") == 1
        assert notifier.problem == "target hanging fails: it hangs"


async def test_what_came_while_the_targets_could_not_be_read_is_told_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(_: Path) -> list[Path]:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", too_many)
        async with world.running(world.notifier()) as notifier:
            notifier.grant_changed(world.grant(), gone=False)
            notifier.tell(EventDraft("Warning", "Prove", "GuardNotProven", "it is loose"))
            await asyncio.sleep(10)
            assert world.sent == []
            patch.undo()
            await asyncio.sleep(10)
            assert len(world.sent) == 2


def ids(world: World) -> list[str]:
    return [id_ for _, id_ in world.sent]


class TestASuccessor:
    async def test_tells_what_happened_since_the_mark_and_not_all_of_it_again(self, world: World) -> None:
        old = [world.grant(number) for number in range(100)]
        world.offset += timedelta(hours=1) - timedelta(minutes=20)
        mark = world.now()
        world.offset += timedelta(seconds=10)
        new = [world.grant(number) for number in range(100, 103)]
        world.offset += timedelta(minutes=5)
        async with world.running(world.notifier(mark)) as notifier:
            for body in (*old, *new):
                notifier.grant_changed(body, gone=False)
            await asyncio.sleep(5)
        assert ids(world) == [f"uid-{number}.pending" for number in range(100, 103)]

    async def test_tells_what_just_happened_again_by_the_same_id(self, world: World) -> None:
        body = world.grant()
        async with world.running(world.notifier()) as notifier:
            notifier.grant_changed(body, gone=False)
            await asyncio.sleep(10)
            mark = notifier.mark
        async with world.running(world.notifier(mark)) as notifier:
            notifier.grant_changed(body, gone=False)
            await asyncio.sleep(5)
        assert ids(world) == ["uid-1.pending"] * 2

    async def test_does_not_mark_what_it_has_not_listed_or_could_not_look_at(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        body = world.grant()
        world.offset += timedelta(minutes=5)
        before = world.now() - timedelta(minutes=10)
        async with world.running(world.notifier(before), listed=False) as notifier:
            notifier.tell(EventDraft("Warning", "Prove", "GuardNotProven", "it is loose"))
            await asyncio.sleep(30 * 60)
            assert notifier.mark == before
            world.sent.clear()
            with monkeypatch.context() as patch:
                patch.setattr(Path, "iterdir", lambda _: Path("/nowhere").read_text())
                await asyncio.sleep(60)
                notifier.grant_changed(body, gone=False)
                notifier.listed()
                assert notifier.mark == before
        async with world.running(world.notifier(notifier.mark)) as notifier:
            notifier.grant_changed(body, gone=False)
            await asyncio.sleep(5)
            assert notifier.mark is not None
            assert notifier.mark > world.now() - timedelta(seconds=10)
            # What came is not looked at yet: the loop has much to do.
            notifier.grant_changed(world.grant(2), gone=False)
            world.offset += timedelta(minutes=10)
            assert notifier.mark < world.now() - timedelta(minutes=9)
        assert ids(world) == ["uid-1.pending"]

    async def test_without_a_mark_tells_what_began_when_it_did(self, world: World) -> None:
        old = world.grant(1)
        world.offset += MARGIN + timedelta(seconds=5)
        async with world.running(world.notifier()) as notifier:
            notifier.grant_changed(old, gone=False)
            notifier.grant_changed(world.grant(2), gone=False)
            await asyncio.sleep(5)
        assert ids(world) == ["uid-2.pending"]

    async def test_tells_what_a_target_had_not_taken_when_its_predecessor_ended(self, world: World) -> None:
        (world.folder / "hanging").write_text("json://example.com/")
        world.hangs.add("hanging")
        body = world.grant()
        async with world.running(world.notifier()) as notifier:
            notifier.grant_changed(body, gone=False)
            await asyncio.sleep(10 * 60)
            mark = notifier.mark
            assert mark is not None
            assert mark < world.now() - timedelta(minutes=9)
        world.hangs.clear()
        async with world.running(world.notifier(mark)) as notifier:
            notifier.grant_changed(body, gone=False)
            await asyncio.sleep(5)
        assert ("hanging", "uid-1.pending") in world.sent

    async def test_is_not_set_back_by_more_than_the_age_of_a_delivery(self, world: World) -> None:
        (world.folder / "hanging").write_text("json://example.com/")
        world.hangs.add("hanging")
        async with world.running(world.notifier()) as notifier:
            body = world.grant()
            body["spec"]["request"]["origin"] = "PreApproved"
            body["metadata"]["creationTimestamp"] = stamp(world.now() - timedelta(hours=5))
            notifier.grant_changed(body, gone=False)
            await asyncio.sleep(60)
            assert notifier.waiting("installation") == 1
            assert notifier.mark is not None
            assert notifier.mark >= world.now() - timedelta(seconds=SETTINGS.terms.age)


async def test_the_mark_is_now_once_all_is_told(world: World) -> None:
    async with world.running(world.notifier()) as notifier:
        notifier.grant_changed(world.grant(), gone=False)
        await asyncio.sleep(600)
        assert notifier.mark == pytest.approx(world.now(), abs=timedelta(seconds=1))


async def test_nobody_is_told_of_the_canary(world: World) -> None:
    body = canary(INSTALLATION, world.now())
    body["metadata"] |= {"uid": "u", "creationTimestamp": stamp(world.now())}
    body["status"] = {"phase": "Pending", "conditions": []}
    async with world.running(world.notifier()) as notifier:
        notifier.grant_changed(body, gone=False)
        await asyncio.sleep(5)
    assert world.sent == []


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        *(("GuardNotProven", True), ("GuardChanged", True), ("GuardProven", True)),
        *(("LogInconsistent", True), ("LogRejected", True), ("ClockSkew", False), ("WitnessKeyRotated", False)),
    ],
)
async def test_what_guard_and_witness_say_is_told_where_it_matters(reason: str, told: bool, world: World) -> None:
    async with world.running(world.notifier()) as notifier:
        notifier.tell(EventDraft("Warning", "Look", reason, "a note"))
        await asyncio.sleep(1)
    assert bool(world.sent) is told


async def test_what_is_left_out_because_too_much_waits_is_counted(world: World) -> None:
    notifier = world.notifier()
    for number in range(5003):
        notifier.tell(EventDraft("Warning", "Look", "GuardNotProven", f"note {number}"))
    assert notifier.waiting("installation") == 5000
    assert notifier.counts["installation", "dropped"] == 3


async def test_without_targets_nothing_is_kept_and_nothing_marked(world: World) -> None:
    notifier = world.notifier()
    off = NotifySettings()
    notifier._settings = off
    notifier.grant_changed(world.grant(), gone=False)
    notifier.tell(EventDraft("Warning", "Look", "GuardNotProven", "a note"))
    await notifier.run()
    assert (notifier.mark, notifier._changed, len(notifier._drafts)) == (None, {}, 0)


async def test_an_internal_error_of_one_target_ends_neither_the_others_nor_the_leader(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.folder / "odd").write_text("json://example.com/")
    send: Callable[..., object] = world.send

    async def odd(target: Target, told: Notification, *, holder: str, failing: bool = False) -> DeliveryAttempt:
        if target.name == "odd":
            raise RuntimeError("nobody thought of it")
        return await world.__class__.send(world, target, told, holder=holder, failing=failing)

    monkeypatch.setattr(world, "send", odd)
    assert send is not None
    async with world.running(world.notifier()) as notifier:
        notifier.grant_changed(world.grant(1), gone=False)
        await asyncio.sleep(1)
        notifier.grant_changed(world.grant(2), gone=False)
        await asyncio.sleep(1)
    assert ids(world) == ["uid-1.pending", "uid-2.pending"]
    assert notifier.counts["installation", "dropped"] == 2
