"""Those whom nobody may delay: a tenant whose every answer is known, and tenants whose grants are reviewed and used.

Holds: what was not answered counts as slower than everything that was; each grant is for one use, and is asked for
more at once, and once more afterwards.
"""

import itertools
import math
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import requests

from localcluster.errors import AccessError, LocalClusterError
from localcluster.rest import Answer
from support.installation import accepted
from support.pdp.steady import JudgedCalls, Question, ask_steadily
from support.pdp.tenant import Tenant

CALLS_A_SECOND: Final = 50.0
_COUNTED_SECONDS: Final = 60.0
_AT_ONCE: Final = 3
_TOLD: Final = 100


@dataclass
class TimedAnswers:
    """Seconds of what was answered, and how often nothing came of it, by why."""

    seconds: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    def quantile(self, part: float) -> float:
        """Return within how many seconds this part of all was answered; what was not took for ever."""
        count = len(self.seconds) + self.failed.total()
        place = min(count - 1, math.ceil(count * part) - 1) if count else 0
        ordered = sorted(self.seconds)
        return ordered[place] if place < len(ordered) else math.inf


class InnocentCaller:
    """Asks calls of one tenant, each over a connection of its own, of which every second one must be denied."""

    def __init__(self, tenant: Tenant, certificate: Path) -> None:
        self._certificate = certificate
        self._questions = [
            Question(tenant.url(), tenant.pep, tenant.body(action), decision=allowed)
            for action, allowed in (
                ("customers.list", True),
                ("customers.purge", False),
                ("customers.get", True),
                ("customers.export", False),
            )
        ]
        self.calls = TimedAnswers()
        self.wrong: Counter[str] = Counter()

    def forget(self) -> None:
        """Begin to count anew; what was wrong stays wrong."""
        self.calls = TimedAnswers()

    def ask(self, seconds: float) -> JudgedCalls:
        """Ask for so long, from a process of its own; return what came of that, which is added to all."""
        found = ask_steadily(self._certificate, self._questions, CALLS_A_SECOND, seconds)
        self.calls.seconds += found.seconds
        self.calls.failed += found.failed
        self.wrong += found.wrong
        return found


class GrantRounds:
    """Has one grant after the other requested, reviewed, counted and used, and tells what was wrong in that.

    `reviewed` is how long the API server takes for the review itself, in which nothing of ours has a part.
    """

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant
        self.requested = TimedAnswers()
        self.reviewed = TimedAnswers()
        self.counted = TimedAnswers()
        self.usable = TimedAnswers()
        self.used = TimedAnswers()
        self.wrong: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Do so until `stop` is set."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for number in itertools.count():
                if stop.is_set():
                    return
                try:
                    self._play(f"r-{number}", pool, stop)
                except (requests.RequestException, LocalClusterError, AssertionError) as error:
                    # The last is what an API server said that would not.
                    self.requested.failed[f"{type(error).__name__}: {error}"[:_TOLD]] += 1
                    stop.wait(1)

    def _play(self, resource: str, pool: ThreadPoolExecutor, stop: threading.Event) -> None:
        began = time.monotonic()
        answer = self._tenant.submit("customers.export", resource)
        if answer.status not in {201, 202}:
            self.requested.failed[f"{answer.status} {answer.reason}"] += 1
            stop.wait(1)
            return
        self.requested.seconds.append(time.monotonic() - began)
        name = answer.grant_name
        if not self._reviewed(name):
            return
        if self._known(resource):
            self._use(name, resource, pool)

    def _reviewed(self, name: str) -> bool:
        """Review it once the operator has seen it, and wait until that counts."""
        admin, path = self._tenant.callers.admin, self._tenant.path_of(name)
        try:
            admin.wait(path, lambda answer: _status(answer, "phase") == "Pending", _COUNTED_SECONDS)
        except AccessError:
            self.counted.failed["never pending"] += 1
            return False
        asked = time.monotonic()
        accepted(self._tenant.review(name))
        began = time.monotonic()
        self.reviewed.seconds.append(began - asked)
        try:
            admin.wait(path, lambda answer: bool(_status(answer, "counted")), _COUNTED_SECONDS)
        except AccessError:
            self.counted.failed["never counted"] += 1
            return False
        self.counted.seconds.append(time.monotonic() - began)
        return True

    def _known(self, resource: str) -> bool:
        """Wait until the decision point would let the call through."""
        began = time.monotonic()
        while time.monotonic() - began < _COUNTED_SECONDS:
            if self._tenant.ask_itself("customers.export", resource).decision:
                self.usable.seconds.append(time.monotonic() - began)
                return True
            time.sleep(0.05)
        self.usable.failed["never usable"] += 1
        return False

    def _use(self, name: str, resource: str, pool: ThreadPoolExecutor) -> None:
        def ask(_: int) -> tuple[bool | None, int, float]:
            began = time.monotonic()
            said = self._tenant.ask("customers.export", resource)
            return said.decision, said.status, time.monotonic() - began

        if self._tenant.ask("customers.export", f"{resource}-other").decision:
            self.wrong["another resource was allowed"] += 1
        answers = list(pool.map(ask, range(_AT_ONCE)))
        passed = sum(decision is True for decision, _, _ in answers)
        self.used.seconds += [seconds for decision, _, seconds in answers if decision]
        uses = self._tenant.uses(name)
        if passed > 1:
            self.wrong["a grant for one use was used more often"] += 1
        if uses != 1:
            self.wrong[f"{uses} uses are written of a grant for one"] += 1
        if not passed:
            self.used.failed[f"no call passed: {sorted(status for _, status, _ in answers)}"] += 1
        if self._tenant.ask("customers.export", resource).decision:
            self.wrong["a used grant was used again"] += 1


def _status(answer: Answer, name: str) -> object:
    return (answer.body.get("status") or {}).get(name)
