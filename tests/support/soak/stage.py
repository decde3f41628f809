"""Where the soak plays: a real API server, an operator, one decision point over TLS, and its tenants.

Standing: under all of the soak; the processes are those of `support.pdp.processes`. Holds: the decision point has a
core of its own, as its CPU request gives it on a node; of what shares the other ones, the API server is nicer than the
operator. An operator that ended is started again, and counted.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from bailiwick_api.accounts import OPERATOR_LEASE
from demo.stack import DecisionPoint
from localcluster.process import RunningProcess
from support.certificates import self_signed
from support.longwork import NAMED
from support.namespaces import Namespaces
from support.objects import rule
from support.pdp.processes import Bailiwick
from support.pdp.tenant import RULES, Tenant, Tenants
from support.priority import IN_TIME, core_apart, yield_processor

ACCOUNTS: Final = 16
"""Accounts without a right, in whose names floods ask."""
_LEASE_SECONDS: Final = 60.0
_LARGE_ARGUMENTS: Final = rule(
    "filter",
    actions=["customers.filter"],
    conditions=[
        {"name": "internal", "expression": "context.args.items.filter(i, i.kind == 'internal').size() == 0"},
    ],
)


_HISTORIES: Final = [
    {"name": name, "key": key, "window": "1m", "counts": {"actions": [f"customers.{name}"]}}
    for name, key in (("count", ["agent"]), ("spread", ["resource"]))
]
# So many in a minute that the limit is full for a part of it.
_LIMITS: Final = [
    rule(
        name,
        actions=[f"customers.{name}"],
        conditions=[{"name": "limit", "expression": f"history.{name}.count <= {most}"}],
    )
    for name, most in (("count", 1_000), ("spread", 1))
]


@dataclass(frozen=True, slots=True)
class Cast:
    """The tenants. The first two are innocent; everybody else is not."""

    innocent: Tenant
    reviewed: Tenant
    heavy: Tenant
    counted: Tenant
    flooded: Tenant
    agent: Tenant
    asking: Tenant
    rewriting: str
    editing: str
    storing: str


@dataclass
class Stage:
    """What runs. `restarts`: the last words of each operator that had to be started again."""

    ours: Bailiwick
    point: DecisionPoint
    certificate: Path
    cast: Cast
    restarts: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def open(cls) -> Iterator[Self]:
        """Start everything; when the block ends, end it, and judge the logs of all processes.

        Raises `AssertionError` at the end if a record does not follow from the policies, or a log is not whole.
        """
        with ExitStack() as closing:
            put_apart = closing.enter_context(core_apart())
            ours = Bailiwick.begin(closing, replicas=0)
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="bailiwick-soak-")))
            certificate, key = self_signed(folder)
            plain = ours.start_point(f"--tls-cert-file={certificate}", f"--tls-key-file={key}")
            point = replace(plain, url=plain.url.replace("http:", "https:"))
            tenants = Tenants(ours.cluster, ours.callers, [point.url], Namespaces(ours.callers.admin), str(certificate))
            stage = cls(ours, point, certificate, _cast(tenants))
            put_apart(point.process.id.pid)
            stage.yield_to_bailiwick()
            yield stage

    @property
    def operator(self) -> RunningProcess:
        """The operator's process."""
        assert self.ours.operator is not None
        return self.ours.operator

    @property
    def decision_port(self) -> int:
        """Where it decides."""
        return urlsplit(self.point.url).port or 0

    @property
    def status_port(self) -> int:
        """Where it is asked for its state."""
        return urlsplit(self.point.status_url).port or 0

    def keep_operator(self) -> None:
        """Start the operator again if it ended, as the kubelet would."""
        if not self.operator.alive:
            self.restarts.append(self.operator.last_words(3))
            self.ours.start_operator()

    def yield_to_bailiwick(self) -> None:
        """Let the API server have what the operator leaves, since it would run on another machine."""
        plane = [] if self.ours.plane is None else [each.pid for each in self.ours.plane.processes.values()]
        yield_processor(*plane, nice=IN_TIME)

    def lease_transitions(self) -> int:
        """Return how often the operator's lease has passed from one holder to another."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.ours.installation.namespace}/leases/{OPERATOR_LEASE}"
        # The API server may still be at what it was flooded with.
        answer = self.ours.callers.admin.wait(path, lambda answer: answer.ok, _LEASE_SECONDS)
        return int(answer.body["spec"].get("leaseTransitions", 0))


def _cast(tenants: Tenants) -> Cast:
    flooded = tenants.make("flooded")
    for number in range(ACCOUNTS):
        tenants.account(flooded.namespace, f"nobody-{number}")
    return Cast(
        innocent=tenants.make("innocent"),
        reviewed=tenants.make("reviewed"),
        heavy=tenants.make("heavy", [*RULES, *NAMED]),
        counted=tenants.make("counted", [RULES[0], *_LIMITS], _HISTORIES),
        flooded=flooded,
        agent=tenants.make("agent", [rule(actions=["customers.list"]), _LARGE_ARGUMENTS]),
        asking=tenants.make("asking"),
        rewriting=tenants.namespaces.make("rewriting"),
        editing=tenants.namespaces.make("editing"),
        storing=tenants.namespaces.make("storing"),
    )
