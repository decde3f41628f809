"""A whole decision point with an endpoint that counts exports, over objects that are kept in memory."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.structs import replace

from bailiwick_api.serverclock import ServerClock
from bailiwick_engine.call import Action
from bailiwick_engine.history.state import parse_state
from bailiwick_webhook.evaluation import EvaluationRequest
from bailiwick_webhook.history.reservations import keeping
from bailiwick_webhook.pipeline.decision import Decision
from bailiwick_webhook.pipeline.pdp import Pdp
from bailiwick_webhook.steps import resolve
from support.keptobjects import KeptObjects
from support.objects import Object, rule, settings
from support.pdp.alone import Alone, KeptRecords
from unit.engine.cases import CALL, stored

LIMITED: Final = {"name": "limit", "expression": "history.exports.count <= 5"}
EXPORT: Final = rule("export", actions=["customers.export"], conditions=[LIMITED])
EXPORTS: Final = {"name": "exports", "key": ["agent"], "window": "1h", "counts": {"actions": ["customers.export"]}}


def counting(*rules: Object, histories: Sequence[Object] = (EXPORTS,), **more: object) -> Object:
    """Return a policy whose endpoint counts exports."""
    listing = rule("list", actions=["customers.list"])
    own = {**settings(), "history": list(histories)}
    return stored("crm-agent", listing, *(rules or (EXPORT,)), endpointSettings=own, **more)


class CountingPoint:
    """A decision point over kept objects.

    `now` is what it paces its reads and writes by, as the loop its sleeps; `clock` says what time it is.
    """

    def __init__(
        self,
        api: KeptObjects,
        *policies: Object,
        records: KeptRecords | None = None,
        now: Callable[[], float] = time.monotonic,
        clock: ServerClock | None = None,
    ) -> None:
        self.api = api
        self.clock = clock or ServerClock()
        self.clock.record_answer(self.clock.wall(), self.clock.monotonic())
        self.proven = True
        keeper = keeping(api, self.clock, lambda: self.proven, now)
        self.alone = Alone(policies or [counting()], records=records, histories=keeper)
        self.pdp: Pdp = self.alone.pdp

    async def ask(self, action: str = "customers.export", request_id: str | None = None, **more: Any) -> Decision:  # noqa: ANN401 - members of a call
        return await resolve(self.pdp.evaluate(asked(action, request_id, **more)))

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.alone.records.lines]

    @property
    def counted(self) -> int:
        """How many calls stand in the objects."""
        states = [parse_state(stored["spec"]) for stored in self.api.objects.values()]
        return sum(slot.count for state in states if state for line in state.lines.values() for slot in line.slots)


def asked(
    action: str = "customers.export",
    request_id: str | None = None,
    item: int | None = None,
    **more: Any,  # noqa: ANN401 - members of a call
) -> EvaluationRequest:
    call = replace(CALL, action=Action(action), **more)
    return EvaluationRequest(call, request_id, live_identity=True, item=item)
