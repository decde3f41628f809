"""Parent: the first process of a decision point that has one process for each core. It starts them, and serves nothing.

Standing: `main` runs it in place of the decision point where there is to be more than one process; with one there is
no parent. Holds: it forks before there is a loop or a thread, and never has one itself; a child whose loop stands still
is killed; a child that dies is started again, after a pause that grows; where children keep dying, or cannot start at
all, the parent lets the others drain and ends with a code other than 0; no child outlives its parent by more than it
takes to drain.

The children listen each for itself (SO_REUSEPORT), so that the kernel spreads connections over them by their addresses
and a child that died is not asked any more. The parent only holds the ports, against everybody else.
"""

import contextlib
import gc
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

import structlog

from bailiwick_webhook.process.heartbeat import BEAT, Heartbeat, HeartbeatMonitor, State, pair
from bailiwick_webhook.process.settings import WebhookSettings
from bailiwick_webhook.process.worker import WorkerSlot
from bailiwick_webhook.record.turn import WriteTurn

# Before the first, second, ... start in the place of a child that died, in seconds. After so many the parent gives up,
# unless the child served for a while in between.
PAUSES: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
WHILE: Final = 60.0
# Besides draining: what is under way may take as long as `http.server` allows it, and a record as long as its timeout.
_STOPPING_SECONDS: Final = 20.0
_FAILED: Final = 1
_TOLD: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_WATCHED: Final = _TOLD | {signal.SIGCHLD}

_log = structlog.get_logger()


@dataclass(slots=True)
class _Slot:
    """Where one child runs, or is to be started `due`, by the monotonic clock. `pid` 0: none runs."""

    index: int
    due: float = 0.0
    pid: int = 0
    began: float = 0.0
    watch: HeartbeatMonitor | None = None
    restarts: int = 0
    killed: bool = False
    pauses: Iterator[float] = field(default_factory=lambda: iter(PAUSES))


def run(given: WebhookSettings, serve: Callable[[WebhookSettings], int]) -> int:
    """Run `serve` in children until SIGTERM or SIGINT. Returns 0, or another code where they do not keep running."""
    try:
        with contextlib.ExitStack() as holding:
            given = replace(given, port=holding.enter_context(held(given.host, given.port)))
            if given.policies is None:
                # Without a cluster nobody asks about policies.
                admission = holding.enter_context(held(given.host, given.admission_port))
                given = replace(given, admission_port=admission)
            turn = holding.enter_context(contextlib.closing(WriteTurn.new()))
            return _Parent(given, serve, turn).run()
    except OSError as error:
        sys.stderr.write(f"bailiwick-webhook: cannot start: {error}\n")
        return _FAILED


class _Parent:
    def __init__(self, given: WebhookSettings, serve: Callable[[WebhookSettings], int], turn: WriteTurn) -> None:
        self._given = given
        self._serve = serve
        self._turn = turn
        self._slots = [_Slot(index) for index in range(given.processes)]
        self._served = False
        self._looked = time.monotonic()
        self._code = 0
        # When those that are left are killed; None until we stop.
        self._until: float | None = None

    def run(self) -> int:
        """Keep every child running until told to stop, then wait until all have drained."""
        # Blocked and asked for: nothing happens between two lines but what stands there.
        signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)
        # What the children share stays shared longer where no collector writes to it.
        gc.collect()
        gc.freeze()
        _log.info("supervising processes", processes=len(self._slots))
        while True:
            if self._until is None:
                self._start_due()
            elif not any(slot.pid for slot in self._slots):
                return self._code
            told = signal.sigtimedwait(_WATCHED, self._patience())
            if told is not None and told.si_signo in _TOLD:
                self._stop()
            self._reap()
            self._look()
            if self._until is not None and time.monotonic() >= self._until:
                self._send(signal.SIGKILL)

    def _patience(self) -> float:
        """Return how long nothing is to be done but to wait."""
        now = time.monotonic()
        if self._until is not None:
            return max(0.1, self._until - now)
        return max(0.0, min([BEAT, *(slot.due - now for slot in self._slots if not slot.pid)]))

    def _stop(self) -> None:
        if self._until is None:
            self._until = time.monotonic() + self._given.drain_seconds + _STOPPING_SECONDS
        self._send(signal.SIGTERM)

    def _send(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                # Ours until we reap it, so it is nobody else's.
                os.kill(slot.pid, number)

    def _start_due(self) -> None:
        for slot in self._slots:
            if not slot.pid and slot.due <= time.monotonic():
                self._start(slot)

    def _start(self, slot: _Slot) -> None:
        ours, theirs = pair()
        with theirs:
            slot.began, slot.watch, slot.killed = time.monotonic(), ours, False
            try:
                slot.pid = os.fork()
            except OSError as error:
                # No more processes, or no memory: as if it had died at once.
                _log.error("process not started", process=slot.index, error=str(error))
                self._died(slot, _FAILED)
                return
            if not slot.pid:
                self._be(
                    WorkerSlot(slot.index, slot.restarts, Heartbeat(theirs, slot.index, len(self._slots)), self._turn)
                )

    def _be(self, place: WorkerSlot) -> NoReturn:
        """Be a child, to its end."""
        code = _FAILED
        try:
            # As long as anybody else holds the parent's end of a heartbeat, it does not tell that the parent is gone.
            for slot in self._slots:
                if slot.watch is not None:
                    slot.watch.close()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WATCHED)
            code = self._serve(_of(self._given, place))
        except BaseException:  # noqa: BLE001 - nothing may get out into what is the parent's to do
            traceback.print_exc()
        finally:
            with contextlib.suppress(OSError):
                sys.stderr.flush()
            os._exit(code)

    def _look(self) -> None:
        """Take every child's beats, kill who has been silent for too long, and tell the first one what all are."""
        now = time.monotonic()
        # Where we stood still ourselves (a frozen cgroup, a machine that moves), so may they: that is nobody's silence.
        passed, self._looked = min(now - self._looked, 2 * BEAT), now
        for slot in self._slots:
            if slot.watch is not None:
                slot.watch.look(passed)
                # Those that stop have until `_until`.
                if self._until is None:
                    self._judge(slot, slot.watch)
        first = self._slots[0].watch
        if first is not None:
            first.tell(State.ABSENT if slot.watch is None else slot.watch.state for slot in self._slots)

    def _judge(self, slot: _Slot, watch: HeartbeatMonitor) -> None:
        given = self._given
        if slot.killed or watch.silent <= (given.process_silence if watch.served else given.process_start):
            return
        _log.error("process unresponsive", process=slot.index, seconds=round(watch.silent, 1), served=watch.served)
        # Not SIGTERM, nor SIGABRT: who stands still does neither.
        os.kill(slot.pid, signal.SIGKILL)
        slot.killed = True

    def _reap(self) -> None:
        """Take note of every child that ended. As the first process of a container we are left others' too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for slot in self._slots:
                if slot.pid == pid:
                    self._died(slot, os.waitstatus_to_exitcode(status))

    def _died(self, slot: _Slot, code: int) -> None:
        served, silent = False, 0.0
        if slot.watch is not None:
            silent = slot.watch.silent
            # Its last words.
            slot.watch.look(0.0)
            served = slot.watch.served
            slot.watch.close()
        self._served = self._served or served
        slot.pid, slot.watch = 0, None
        now = time.monotonic()
        if self._until is not None:
            # One that was told before it could listen for that ends by the signal.
            if code not in {0, -signal.SIGTERM}:
                self._code = self._code or _FAILED
            return
        if served and now - slot.began - silent >= WHILE:
            slot.pauses = iter(PAUSES)
        # Where none has ever served, starting again would help nobody.
        pause = next(slot.pauses, None) if self._served else None
        _log.error("process died", process=slot.index, code=code, served=served, restarts=slot.restarts, pause=pause)
        if pause is None:
            _log.error("exiting: processes keep dying" if self._served else "exiting: processes cannot start")
            self._code = code if code > 0 else _FAILED
            self._stop()
            return
        slot.due = now + pause
        slot.restarts += 1


def _of(given: WebhookSettings, place: WorkerSlot) -> WebhookSettings:
    """Return the settings of one child: what cannot be shared is numbered."""
    return replace(
        given,
        place=place,
        status_port=given.status_port and given.status_port + place.index,
        record_file=given.record_file and given.record_file.with_name(f"{given.record_file.name}.{place.index}"),
    )


@contextlib.contextmanager
def held(host: str, port: int) -> Iterator[int]:
    """Hold a port that children listen on, without listening; yield its number. Raises `OSError` where it is taken."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    # Alone first: who is ready to share would share with a stranger, too.
    with socket.socket(family, kind) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        alone.bind(address)
        address = (address[0], alone.getsockname()[1], *address[2:])
    with socket.socket(family, kind) as shared:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        shared.bind(address)
        yield int(address[1])
