"""What of a Secret is read: bounded, and as it was read last while it cannot be read."""

import base64
import errno
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bailiwick_kube.responses import ApiResponse
from bailiwick_kube.transport import ApiRequest, TooLongError, UnreachableError
from bailiwick_notifications.targets import MOST_ENTRIES
from bailiwick_operator.kube import OperatorClient
from bailiwick_operator.notify.sources import INSTALLATION_SECONDS, MOST_ANSWER, NAMESPACE_SECONDS, TargetSources
from support.transport import FakeTransport

CHAT = base64.b64encode(b"json://example.com/").decode()
ONE = ApiResponse(200, {"data": {"chat": CHAT}})


class World:
    """A folder, an API server that answers `answer`, and a clock."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, 0.0
        self.answer: ApiResponse | Exception = ONE
        self.most: list[int | None] = []
        transport = FakeTransport(self._answer)
        call = transport.call

        async def bounded(request: ApiRequest, *, most: int | None = None) -> ApiResponse:
            self.most.append(most)
            return await call(request, most=most)

        transport.call = bounded  # type: ignore[method-assign]
        kube = OperatorClient(transport, lambda: True)
        self.sources = TargetSources(kube, folder, namespaces=True, clock=lambda: self.now)

    def _answer(self, request: ApiRequest) -> ApiResponse:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def names(self, namespace: str | None) -> list[str]:
        return [one.name for one in await self.sources.find(namespace)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "chat").write_text("json://example.com/")
    return World(tmp_path)


async def test_a_huge_secret_is_one_problem_and_one_line(world: World) -> None:
    world.answer = ApiResponse(200, {"data": {f"t{number}": "" for number in range(60_000)}})
    with capture_logs() as lines:
        assert await world.names("crm") == []
    assert [line["why"] for line in lines] == [f"has more than {MOST_ENTRIES} entries: none is used"]
    for number in range(2 * MOST_ENTRIES):
        (world.folder / f"t{number}").write_text("x")
    assert await world.names(None) == []
    assert len(world.sources.problems) == 1


async def test_an_answer_that_is_too_long_ends_nothing_and_is_not_asked_again_at_once(world: World) -> None:
    world.answer = TooLongError()
    with capture_logs() as lines:
        assert await world.names("crm") == []
        assert await world.names("crm") == []
    assert world.most == [MOST_ANSWER]
    assert [line["why"] for line in lines] == ["has more than 256 KiB: none of its entries is used"]


async def test_of_many_problems_a_few_are_logged_and_the_others_counted(world: World) -> None:
    world.answer = ApiResponse(200, {"data": {f"t{number}": "" for number in range(15)}})
    with capture_logs() as lines:
        await world.names("crm")
    assert len(lines) == 6
    assert lines[-1]["count"] == 10


@pytest.mark.parametrize("answer", [UnreachableError("away"), ApiResponse(500, {}), ApiResponse(429, {})])
async def test_a_secret_that_cannot_be_read_now_stays_as_it_was(answer: ApiResponse | Exception, world: World) -> None:
    world.answer = answer
    with pytest.raises(UnreachableError):
        await world.names("crm")
    world.answer = ONE
    assert await world.names("crm") == ["chat"]
    world.answer, world.now = answer, world.now + NAMESPACE_SECONDS
    assert await world.names("crm") == ["chat"]
    world.answer, world.now = ApiResponse(200, {"data": {"other": CHAT}}), world.now + NAMESPACE_SECONDS
    assert await world.names("crm") == ["other"]


@pytest.mark.parametrize("status", [403, 404])
async def test_a_secret_that_is_gone_has_no_targets(status: int, world: World) -> None:
    assert await world.names("crm") == ["chat"]
    world.answer, world.now = ApiResponse(status, {}), NAMESPACE_SECONDS
    assert await world.names("crm") == []


async def test_a_folder_that_cannot_be_read_now_stays_as_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(_: Path) -> list[Path]:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", too_many)
        with pytest.raises(UnreachableError):
            await world.names(None)
        assert "Too many open files" in world.sources.problems[0].message
    assert await world.names(None) == ["chat"]
    assert world.sources.problems == ()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "iterdir", too_many)
        world.now += INSTALLATION_SECONDS
        assert await world.names(None) == ["chat"]
        assert len(world.sources.problems) == 1
