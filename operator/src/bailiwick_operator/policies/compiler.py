"""Policy compiler: compiles by namespace in turn, and keeps who is over budget, so that a look finds what it needs.

Standing: between the inventory, which knows the policies, and the reconciler, which looks at endpoints. Holds: no step
holds the loop for longer than an expression takes; nobody's policy waits for all that another namespace has; what is
over budget is not compiled, and is over here where it is over in every process of the decision point.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from bailiwick_engine.budget.datasize import data_name, ledger_name
from bailiwick_engine.budget.footprint import footprint
from bailiwick_engine.budget.ledger import Budget, Claim, Excess, Ledger
from bailiwick_engine.compile import acceptance
from bailiwick_engine.compile.acceptance import CompilationSummary
from bailiwick_engine.compile.policies import policy_ref
from bailiwick_engine.rotation import TURN, FairRotation
from bailiwick_engine.steps import Steps
from bailiwick_operator.loop.inventory import Inventory, Key, Object, key_of

_LOG: Final = structlog.get_logger(__name__)
_NOT_COMPILED: Final = CompilationSummary(())


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one generation of a policy. `judged` None: it was over budget, and was not compiled."""

    generation: int
    judged: CompilationSummary | None


class PolicyCompiler:
    """Judges. Lives in the main loop; `judged` is told of each policy that can be looked at. `clock` is monotonic."""

    def __init__(
        self,
        budget: Budget,
        policies: Inventory,
        judged: Callable[[Object], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.ledger: Final = Ledger(budget)
        self._policies = policies
        self._judged = judged
        self._known: dict[str, _Known] = {}
        self._claimed: dict[Key, tuple[str, int]] = {}
        self._waiting: dict[str, dict[Key, None]] = {}
        self._working: set[str] = set()
        self._rotation: FairRotation[str] = FairRotation(clock)
        self._woken = asyncio.Event()
        # What objects of data ask for and the ledger was not told yet.
        self._data: dict[str, dict[Key, Claim | None]] = {}
        self._data_turned: Callable[[Key], None] = lambda _: None
        self._until = 0.0

    def changed(self, key: Key) -> None:
        """Say that a policy came, changed or went."""
        seen = self._policies.get(key)
        if seen is not None and self._claimed.get(key) == _state(seen.body) and self._is_known(seen.body):
            # Its status is another, which nothing is judged by.
            return
        self._waiting.setdefault(key.namespace, {})[key] = None
        self._rouse(key.namespace)

    def count_data(self, turned: Callable[[Key], None]) -> None:
        """Count data beside policies; `turned` is told of an object that is over budget now, or not any more."""
        self._data_turned = turned

    def data_changed(self, key: Key, claim: Claim | None) -> None:
        """Say what an object of data asks for; None: it is gone."""
        self._data.setdefault(key.namespace, {})[key] = claim
        self._rouse(key.namespace)

    def of(self, body: Object) -> tuple[CompilationSummary, Excess | None] | None:
        """Return what a policy came to, and of what it is over budget; None where that is not known yet."""
        metadata, key = body["metadata"], key_of(body)
        if key in self._waiting.get(key.namespace, ()) or metadata["uid"] != self._claimed.get(key, ("", 0))[0]:
            return None
        excess = self.ledger.excess(*key)
        if excess is not None:
            return _NOT_COMPILED, excess
        known = self._known.get(metadata["uid"])
        if known is None or known.generation != metadata["generation"] or known.judged is None:
            return None
        return known.judged, None

    async def run(self) -> None:
        """Judge until cancelled."""
        for namespace, waiting in tuple(self._waiting.items()):
            # Of all before any is judged: what one may have hangs on what the others ask for.
            for _ in self._claim(namespace, tuple(waiting)):
                await self._pause()
        while True:
            await self._woken.wait()
            self._woken.clear()
            going = True
            while going:
                try:
                    going = self._rotation.turn()
                except Exception:  # noqa: BLE001 - a namespace that nobody thought of must not stop all the others
                    _LOG.exception("internal error while compiling the policies of a namespace")
                await self._pause()

    async def _pause(self) -> None:
        """Let the lease and the probes have their turn, every few milliseconds."""
        if self._clock() >= self._until:
            await asyncio.sleep(0)
            self._until = self._clock() + TURN

    def _rouse(self, namespace: str) -> None:
        if namespace not in self._working:
            self._working.add(namespace)
            self._rotation.add(namespace, self._work(namespace))
        self._woken.set()

    def _work(self, namespace: str) -> Steps[None]:
        """Judge what changed in a namespace, until nothing did."""
        try:
            while (
                (waiting := self._waiting.get(namespace))
                or self._data.get(namespace)
                or namespace in self.ledger.restless
            ):
                turned = yield from self._claim(namespace, tuple(waiting or ()))
                for key in turned:
                    try:
                        yield from self._judge(key)
                    except Exception:  # noqa: BLE001 - a policy that nobody thought of must not stop its siblings
                        # It comes again when it changes.
                        _LOG.exception(
                            "internal error while compiling a policy", namespace=key.namespace, name=key.name
                        )
                        self._waiting.get(namespace, {}).pop(key, None)
        finally:
            self._working.discard(namespace)
            if not self._waiting.get(namespace):
                self._waiting.pop(namespace, None)

    def _claim(self, namespace: str, keys: tuple[Key, ...]) -> Steps[list[Key]]:
        """Tell the ledger what these ask for. Returns them, and whose standing is another now."""
        for of, claim in self._data.pop(namespace, {}).items():
            self.ledger.put(namespace, ledger_name(of.name), claim)
        for key in keys:
            seen = self._policies.get(key)
            if seen is None:
                self._claimed.pop(key, None)
                self.ledger.put(*key, None)
                continue
            metadata, state = seen.body["metadata"], _state(seen.body)
            if self._claimed.get(key) != state:
                made = footprint(seen.body.get("spec"))
                self.ledger.put(*key, Claim(str(metadata.get("creationTimestamp", "")), key.name, made))
                self._claimed[key] = state
            yield
        turned = yield from self.ledger.settle_one(namespace)
        for other in tuple(self.ledger.restless):
            self._rouse(other)
        for known in turned:
            if (data := data_name(known)) is not None:
                self._data_turned(Key(namespace, data))
        policies = [Key(namespace, known) for known in turned if data_name(known) is None]
        return [*dict.fromkeys([*keys, *policies])]

    def _judge(self, key: Key) -> Steps[None]:
        """Compile a policy as it is now, unless it is over budget or known already."""
        seen = self._policies.get(key)
        waiting = self._waiting.get(key.namespace, {})
        if seen is None:
            waiting.pop(key, None)
            return
        body, metadata = seen.body, seen.body["metadata"]
        if self._claimed.get(key) != _state(body):
            # It changed since, and comes again.
            return
        known = self._known.get(metadata["uid"])
        over = self.ledger.excess(*key) is not None
        if known is None or known.generation != metadata["generation"] or (known.judged is None and not over):
            judged = None if over else (yield from acceptance.judge_steps(policy_ref(body), body.get("spec")))
            self._known[metadata["uid"]] = _Known(metadata["generation"], judged)
        newest = self._policies.get(key)
        if newest is not None and newest.body["metadata"]["generation"] == metadata["generation"]:
            waiting.pop(key, None)
            self._judged(newest.body)

    def _is_known(self, body: Object) -> bool:
        known = self._known.get(body["metadata"]["uid"])
        return known is not None and known.generation == body["metadata"]["generation"]

    def gone(self, body: Object) -> None:
        """Forget a policy."""
        self._known.pop(body["metadata"]["uid"], None)


def _state(body: Object) -> tuple[str, int]:
    return body["metadata"]["uid"], body["metadata"]["generation"]
