"""Workloads of a call: what each party calls from, read only where a rule of the endpoint asks for it.

Standing: under `pdp`. Holds: a policy that comes to ask for one meanwhile finds it unknown, which never widens.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from msgspec.structs import replace

from bailiwick_engine.call import Call, Party, PodWorkload
from bailiwick_engine.policy.snapshot import CompiledEndpoint
from bailiwick_webhook.steps import Need, Step


def with_workloads(
    endpoint: CompiledEndpoint,
    call: Call,
    read: Callable[[Party], Awaitable[PodWorkload | None]],
    *,
    searching: bool = False,
) -> Step[Call]:
    """Return the call with the workload of each party that a rule asks it of, by `read`; any rule, for a search."""
    if not endpoint.workload_keys or not isinstance(call.subject, Party):
        return call

    def is_asked(party: Party) -> bool:
        if searching:
            return not party.keys.isdisjoint(endpoint.workload_keys)
        return endpoint.asks_workload(call.action.name, call.resource, party)

    parties = (call.subject, *call.actors)
    asked = [is_asked(party) for party in parties]
    return Need(partial(_read_workloads, call, parties, asked, read)) if any(asked) else call


async def _read_workloads(
    call: Call,
    parties: Sequence[Party],
    asked: Sequence[bool],
    read: Callable[[Party], Awaitable[PodWorkload | None]],
) -> Call:
    subject, *actors = [
        replace(party, workload=await read(party)) if wanted else party
        for party, wanted in zip(parties, asked, strict=True)
    ]
    return replace(call, subject=subject, actors=tuple(actors))
