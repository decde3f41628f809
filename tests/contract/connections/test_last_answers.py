"""The last answers of connections and of the process: nobody's use is lost, and nobody's answer destroyed."""

import asyncio
import socket
import struct
from typing import cast

import pytest
import uvloop

from bailiwick_webhook.http.transport import decisionprotocol
from bailiwick_webhook.http.transport.answers import WholeAnswer
from bailiwick_webhook.http.transport.decisionshortcut import ConnectionOrigin
from bailiwick_webhook.http.transport.plainrequest import PlainRequest
from bailiwick_webhook.http.transport.scheduler import Scheduler
from bailiwick_webhook.steps import Need
from contract.connections.test_decision_protocol import Play, ServedFront, contexts, play, request

__all__ = ["contexts", "play"]


async def begun(it: ServedFront, count: int) -> None:
    async with asyncio.timeout(10):
        while len(it.front.begun) < count:  # noqa: ASYNC110 - the front is told of nothing else
            await asyncio.sleep(0.01)


def test_a_stop_waits_for_what_is_awaited_for_a_client_that_is_gone(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"wait"))
        await begun(it, 1)
        one.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.writer.transport.abort()
        await asyncio.sleep(0.1)
        asyncio.get_running_loop().call_later(0.3, it.front.goes_on.set)
        await it.server.stop()
        assert it.front.ended == [b"wait"]

    play(scenario)


def test_whatever_is_begun_beside_a_stop_is_answered(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        clients = [await it.client() for _ in range(40)]
        for number, client in enumerate(clients):
            client.writer.write(request(b"plain %d" % number))
        await begun(it, 1)
        await it.server.stop()
        # Of those that nobody looked at yet there is nothing to lose.
        answers = await asyncio.gather(*(client.reader.read() for client in clients))
        assert sum(b" 200 OK" in answer for answer in answers) == len(it.front.begun)

    play(scenario)


def test_a_turn_that_comes_behind_the_end_of_a_connection_begins_nothing(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        assert await one.ask(b"plain") == b'"plain"'
        (connection,) = it.connections.shared.open
        connection._kept = request(b"late")
        assert connection.transport is not None
        connection.transport.close()
        connection.turn()
        assert it.front.begun == [b"plain"]

    play(scenario)


def test_a_stop_does_not_wait_for_half_a_request(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(b"POST /end")
        await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            await it.server.stop()
        assert await one.closed()

    play(scenario)


def test_the_answer_that_ends_a_connection_arrives_though_more_was_sent_behind_it(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        it.front.draining = True
        one = await it.client()
        one.writer.write(request(b"wait"))
        await begun(it, 1)
        one.writer.write(request(b"next"))
        await asyncio.sleep(0.05)
        # A client that looks a moment later, as any does over a network.
        transport = cast("asyncio.Transport", one.writer.transport)
        transport.pause_reading()
        it.front.goes_on.set()
        await asyncio.sleep(0.1)
        transport.resume_reading()
        assert (await one.answer())[1] == b'"wait"'
        assert await one.closed()
        assert it.front.begun == [b"wait"]

    play(scenario)


def test_a_client_that_sends_on_behind_its_last_answer_is_ended_after_a_while(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisionprotocol, "_LINGER", 0.2)

    async def scenario(it: ServedFront) -> None:
        it.front.draining = True
        one = await it.client()
        one.writer.write(request(b"plain"))
        assert (await one.answer())[1] == b'"plain"'
        async with asyncio.timeout(5):
            while it.connections.shared.open:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.05)

    play(scenario)


def test_a_need_that_is_cancelled_ends_its_connection(play: Play) -> None:
    async def scenario(it: ServedFront) -> None:
        one = await it.client()
        one.writer.write(request(b"wait"))
        await begun(it, 1)
        (task,) = it.connections.shared.tasks
        task.cancel()
        assert await one.closed()
        assert not it.connections.shared.tasks

    play(scenario)


def test_a_need_that_is_cancelled_before_it_began_ends_its_connection(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(it: ServedFront) -> None:
        begin, tasks = it.front.begin, it.connections.shared.tasks

        def begin_and_cancel(sent: PlainRequest, origin: ConnectionOrigin) -> WholeAnswer | Need[WholeAnswer] | None:
            # Before the first step of the task, which is made behind this.
            asyncio.get_running_loop().call_soon(lambda: [task.cancel() for task in tasks])
            return begin(sent, origin)

        monkeypatch.setattr(it.front, "begin", begin_and_cancel)
        one = await it.client()
        one.writer.write(request(b"wait"))
        assert await one.closed()
        assert not tasks

    play(scenario)


@pytest.mark.parametrize("runner", [asyncio, uvloop], ids=["asyncio", "uvloop"])
def test_a_turn_that_meets_a_defect_does_not_end_the_turns_of_others(runner: object) -> None:
    done: list[str] = []

    class Work:
        def __init__(self, name: str) -> None:
            self.name = name

        def turn(self) -> None:
            if self.name == "broken":
                raise RuntimeError(self.name)
            done.append(self.name)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        scheduler = Scheduler(1, lambda _: False)
        for name in ("broken", "first", "second"):
            scheduler.wait(Work(name), name, "10.0.0.1")
        await asyncio.sleep(0.05)

    runner.run(run())  # type: ignore[attr-defined]  # both have it
    assert done == ["first", "second"]
