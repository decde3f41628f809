"""The neighbours of the soak that write: policies, grants by hand and requests for approval, all of it without end.

Standing: beside `floods`, which only send. Holds: all of them run in one process of their own, so that they take
nothing from who measures; each is a thread that ends with its event, and counts what it was answered; what the API
server refuses is counted too, and ends nothing.
"""

import itertools
import multiprocessing
import os
import threading
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Final, Protocol

import requests

from localcluster.errors import UnreachableError
from localcluster.rest import Answer
from support.handeditor import EACH, EDIT_SECONDS, HandEditor
from support.installation import accepted
from support.namespaces import Roles
from support.objects import Object, gated_rule, policy, rule, settings, subject
from support.pdp import questions
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant
from support.priority import yield_processor
from support.soak.stage import Stage

# An API server takes two cores for eight writes of large policies a second, and runs on this machine too.
_REWRITES_A_SECOND: Final = 1.0
_STORED_A_SECOND: Final = 1.0
_REQUESTS_A_SECOND: Final = 4.0
_LARGE_POLICIES: Final = 10
_AGENTS: Final = 8
_MOST_STORED: Final = 3_000
_ITEMS: Final = 6_000
_JOIN: Final = " && ".join
_PREPARED_SECONDS: Final = 300.0
_ENDED_SECONDS: Final = 60.0
_FORK: Final = multiprocessing.get_context("fork")


class _Stop(Protocol):
    """An event of threads, or one of processes."""

    def is_set(self) -> bool: ...
    def wait(self, timeout: float | None = None, /) -> bool: ...


@dataclass
class WritingNeighbour(ABC):
    """What came of one neighbour's own doing: answers by status. A subclass acts once in `steps`, again and again."""

    stage: Stage
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, stop: _Stop) -> None:
        """Act until `stop` is set; `prepare` comes before."""
        for status, pause in self._each():
            self.counts[status] += 1
            if stop.wait(pause):
                return

    def prepare(self) -> None:  # noqa: B027 - some have nothing to prepare
        """Make what is there from the start."""

    @abstractmethod
    def steps(self) -> Iterator[tuple[str, float]]:
        """Act; yield what each act was answered, and the seconds until the next."""

    def _each(self) -> Iterator[tuple[str, float]]:
        while True:
            try:
                yield from self.steps()
            except (requests.RequestException, UnreachableError) as error:
                yield type(error).__name__, 1.0


class Rewriter(WritingNeighbour):
    """Rewrites large policies all the time."""

    def prepare(self) -> None:
        """Make them."""
        for number in range(_LARGE_POLICIES):
            accepted(self.stage.ours.callers.admin.create(_large(self.stage.cast.rewriting, number, 0)))

    def steps(self) -> Iterator[tuple[str, float]]:
        """Rewrite one after the other."""
        for version in itertools.count(1):
            written = _large(self.stage.cast.rewriting, version % _LARGE_POLICIES, version)
            answer = self.stage.ours.callers.admin.patch(written, {"spec": written["spec"]}, "merge")
            yield f"{answer.status}", 1 / _REWRITES_A_SECOND


class Hoarder(WritingNeighbour):
    """Stores policies in one namespace, every tenth of them large, and one of twenty broken."""

    number: int = 0

    def steps(self) -> Iterator[tuple[str, float]]:
        """Store one more; from the most that it stores on, the oldest anew."""
        while True:
            self.number += 1
            answer = self._store(self.number)
            yield f"{answer.status}", 1 / _STORED_A_SECOND

    def _store(self, number: int) -> Answer:
        admin, namespace = self.stage.ours.callers.admin, self.stage.cast.storing
        if number > _MOST_STORED:
            return admin.get(f"/api/v1/namespaces/{namespace}")
        if number % 10 == 0:
            return admin.create(_large(namespace, number, 0))
        broken = {"conditions": [{"name": "c", "expression": "context.n >"}]} if number % 20 == 1 else {}
        small = policy(
            namespace,
            f"small-{number}",
            endpoint=f"small-{number}",
            endpointSettings=settings(namespace, "api"),
            rules=[rule("all", actions=["*"], **broken)],
        )
        return admin.create(small)


class GrantEditor(WritingNeighbour):
    """Edits without end the large policies that its grants written by hand name."""

    def prepare(self) -> None:
        """Make policies and grants."""
        callers, namespace = self.stage.ours.callers, self.stage.cast.editing
        Roles(callers.admin, namespace).bind("bailiwick-request", "carol")
        self._editor = HandEditor(callers.admin, callers("carol"), namespace, EACH)
        self._editor.prepare()

    def steps(self) -> Iterator[tuple[str, float]]:
        """Edit all of them, and wait a moment."""
        for answer in self._editor.edit():
            yield f"{answer.status}", 0.0
        yield "rounds", EDIT_SECONDS


class Requester(WritingNeighbour):
    """Requests approvals without end, for many agents, and withdraws some of them so that there is room for more."""

    def prepare(self) -> None:
        """Give the tenant many agents, and rules whose requests end soon."""
        tenant = self.stage.cast.asking
        self._agents = [f"agent-{number}" for number in range(_AGENTS)]
        for agent in self._agents:
            metadata = {"namespace": tenant.namespace, "name": agent}
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
            accepted(self.stage.ours.callers.admin.create(account))
        approval = {"steps": STEPS, "limits": PLENTY, "pendingSeconds": 30}
        export = gated_rule("export", actions=["customers.export"], subjects=self._agents, approval=approval)
        subjects = [subject(agent, tenant.namespace, agent) for agent in self._agents]
        tenant.change_policy(
            {"subjects": [*subjects, subject("agent", tenant.namespace, "agent")], "rules": [*RULES[2:], export]}
        )
        self._tasks: deque[str] = deque()

    def steps(self) -> Iterator[tuple[str, float]]:
        """Request one approval after the other."""
        tenant = self.stage.cast.asking
        for number in itertools.count():
            agent = self._agents[number % _AGENTS]
            body = _request(tenant, agent, f"r-{number}")
            answer = questions.post(tenant.url("requests"), body, tenant.pep, verify=tenant.verify)
            if answer.status in {201, 202}:
                self._tasks.append(answer.task["id"])
            yield f"{answer.status}", 1 / _REQUESTS_A_SECOND
            if len(self._tasks) > 4 * _AGENTS:
                yield f"withdrawn {tenant.cancel(self._tasks.popleft()).status}", 0.0


class Arguer(WritingNeighbour):
    """An agent whose arguments are as large as they can be, alone and in batches, each judged by a candidate too."""

    def prepare(self) -> None:
        """Give its policy a candidate, and make the bodies."""
        tenant = self.stage.cast.agent
        stored = accepted(self.stage.ours.callers.admin.get(_policy_path(tenant)))
        candidate = {**stored["spec"], "mode": "Audit", "replaces": stored["metadata"]["name"]}
        accepted(self.stage.ours.callers.admin.create(policy(tenant.namespace, "next", **candidate)))
        items = [{"kind": "internal", "n": number} for number in range(_ITEMS)]
        one = tenant.body("customers.filter", args={"items": items})
        each = [{"resource": {"type": "customer", "id": f"{number}"}} for number in range(12)]
        many = {**{name: one[name] for name in ("subject", "action", "context")}, "evaluations": each}
        self._bodies: dict[str, dict[str, Any]] = {"evaluation": one, "evaluations": many}

    def steps(self) -> Iterator[tuple[str, float]]:
        """Ask one call, and one batch."""
        tenant = self.stage.cast.agent
        for path, body in self._bodies.items():
            answer = questions.post(tenant.url(path), body, tenant.pep, verify=tenant.verify)
            yield f"{path} {answer.status}", 0.1


def _policy_path(tenant: Tenant) -> str:
    return tenant.path_of("crm-agent").replace("approvalgrants", "endpointpolicies")


def _request(tenant: Tenant, agent: str, resource: str) -> dict[str, Any]:
    body = questions.evaluation(
        tenant.account(agent), "customers.export", resource, token=tenant.token(agent, tenant.audience)
    )
    body["context"]["business_justification"] = "more of it"
    return body


def _large(namespace: str, number: int, version: int) -> Object:
    """Return a policy of some 109 KB, in few fields: each costs the API server more than its bytes."""
    name, filling = f"large-{number}", "x" * 40
    rules = []
    for at in range(30):
        texts = [f"context.a{number}x{at}x{n} == 'v{version}' && context.b.startsWith('{filling}')" for n in range(38)]
        rules.append(rule(f"r{at}", actions=["nothing.at.all"], conditions=[{"name": "c", "expression": _JOIN(texts)}]))
    return policy(namespace, name, endpoint=name, endpointSettings=settings(namespace, "api"), rules=rules)


class WritingCrowd:
    """All of them, in a process of their own. `counts` are what each was answered, by what it does, once it has run."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.counts: dict[str, Counter[str]] = {}

    def prepare(self) -> None:
        """Start the process; return once all of them have made what is there from the start."""
        self._stop = _FORK.Event()
        self._end, theirs = _FORK.Pipe()
        self._process = _FORK.Process(target=self._work, args=(theirs,))
        self._process.start()
        theirs.close()
        assert self._end.poll(_PREPARED_SECONDS), "the neighbours that write were not ready in time"
        self._end.recv()

    def run(self, stop: threading.Event) -> None:
        """Let them act until `stop` is set."""
        stop.wait()
        self._stop.set()
        if self._end.poll(_ENDED_SECONDS):
            self.counts = self._end.recv()
        self._process.kill()
        self._process.join()

    def _work(self, end: Connection) -> None:
        # A session of its own: priorities count within a session alone, and a terminal's interrupt is not for us.
        os.setsid()
        yield_processor(os.getpid())
        # Two processes must not speak over one connection.
        self._stage.ours.callers.close()
        neighbours = _crowd(self._stage)
        for neighbour in neighbours.values():
            neighbour.prepare()
        end.send(None)
        threads = [threading.Thread(target=neighbour.run, args=(self._stop,)) for neighbour in neighbours.values()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        end.send({name: neighbour.counts for name, neighbour in neighbours.items()})


def _crowd(stage: Stage) -> dict[str, WritingNeighbour]:
    return {
        "large policies rewritten": Rewriter(stage),
        "policies stored": Hoarder(stage),
        "policies edited that grants by hand name": GrantEditor(stage),
        "approvals requested": Requester(stage),
        "large arguments": Arguer(stage),
    }
