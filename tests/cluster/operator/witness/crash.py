"""An operator that is killed between two of its requests, and everything that it cosigned by then.

Standing: proxies stand before the API server and before the decision point, so that nothing in the operator knows of
the test. Holds: whatever left an operator counts as cosigned, also what never reached the API server.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.note import VerifierKey, open_note, split
from cluster.operator.operatorprocess import NewOperator, Operator
from support.faultkinds import Exchange, Held, NotedRequests
from support.faultproxy import FaultFront, FaultProxy
from support.shiftedclock import Shifter
from support.waits import until

_CHAIN: Final = re.compile(r"[A-Za-z0-9_-]{22}")
# By one name all of them, so that none waits for the lease of one that was killed.
FLAGS: Final = ("--identity=witness", "--witness-interval=0.3")


@dataclass(frozen=True)
class Step:
    """A request of the witness, and whether the operator dies before it arrives or after it was answered.

    `to_point`: it goes to the decision point, not to the API server.
    """

    method: str
    path: str
    before: bool
    to_point: bool = False


@dataclass
class HeldNote(Held):
    """One that keeps what the request said, too."""

    noted: NotedRequests | None = None

    async def __call__(self, exchange: Exchange) -> None:
        """Be the act of a fault."""
        if self.noted is not None:
            self.noted.take(exchange)
        await super().__call__(exchange)


class OperatorRuns:
    """Runs operators behind the proxies and kills them. `noted`: what they sent to be stored, in its order."""

    def __init__(self, cluster: FaultProxy, point: FaultFront, new_operator: NewOperator, account: Path) -> None:
        self._cluster, self._point, self._new_operator = cluster, point, new_operator
        self._config = cluster.kubeconfig(account)
        self.noted = NotedRequests()
        self.operators: list[Operator] = []
        cluster.on("PUT", r"/configmaps/bailiwick-witness", self.noted, times=None)

    def start(self, *flags: str, clock: Shifter | None = None) -> Operator:
        """Start one more."""
        replica = f"--replica=http://127.0.0.1:{self._point.port}"
        one = self._new_operator(*FLAGS, replica, *flags, kubeconfig=self._config, clock=clock)
        self.operators.append(one)
        return one.start()

    def killed_at(self, step: Step, operator: Operator | None = None) -> None:
        """Kill an operator, a new one where none is given, at its next request of this kind."""
        stores = step.method == "PUT" and "configmaps" in step.path
        held = HeldNote(step.before, noted=self.noted if stores else None)
        (self._point if step.to_point else self._cluster).on(step.method, step.path, held)
        running = operator or self.start()
        until(held.reached.is_set, f"the operator comes to {step}", 60)
        running.kill()
        held.go.set()

    @property
    def ledgers(self) -> list[Path]:
        """What the operators wrote, one file of each."""
        return [one.ledger for one in self.operators]

    def said(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the whole lines of all ledgers that are of these kinds."""
        lines = [line for path in self.ledgers for line in path.read_text().splitlines(keepends=True)]
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        return [line for line in whole if line["kind"] in kinds]

    def cosigned(self, keys: list[VerifierKey]) -> Iterator[Checkpoint]:
        """Yield every checkpoint that left an operator with a cosignature of these keys, in the order of sending."""
        notes = [line["note"] for line in self.said("checkpoint")]
        sent = [
            json.loads(text)["checkpoint"]
            for body in self.noted.said
            for chain, text in (body.get("data") or {}).items()
            if _CHAIN.fullmatch(chain)
        ]
        for note in [*sent, *notes]:
            yield Checkpoint.parse(open_note(note, keys).text)

    def stored_sizes(self, chain: str) -> list[int]:
        """Return the sizes of a chain in what was sent to be stored, in the order of sending."""
        sent = [text for body in self.noted.said if (text := (body.get("data") or {}).get(chain)) is not None]
        return [Checkpoint.parse(split(json.loads(text)["checkpoint"])[0]).size for text in sent]
