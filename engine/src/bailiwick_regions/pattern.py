"""Pattern: whether a verdict occurs anywhere among the calls of a pattern, over all of its regions.

Standing: beside `compare`, over the walk. Holds: conditions, purposes, properties, workloads and times are arbitrary.
If there are too many regions to evaluate, the verdict may occur; nothing is taken for proven.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from bailiwick_engine.call import Call
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.keys import Key
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledResource, CompiledRule, Effect, PolicyRef
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey, Snapshot
from bailiwick_regions.change import Change, ChangeClass
from bailiwick_regions.compare import merge_changes
from bailiwick_regions.parties import NamedParty
from bailiwick_regions.sides import WalkSide
from bailiwick_regions.stage import unconditional
from bailiwick_regions.walk import DIGEST, LEVELS, MOST_REGIONS, Walk, WalkLeaf, level
from bailiwick_regions.worlds import Worlds

_NOTHING: Final = WalkLeaf(ChangeClass.SAME, "")
_DENY, _APPROVAL, _ALLOW = LEVELS


def occurrences(
    key: EndpointKey,
    endpoint: CompiledEndpoint,
    pattern: tuple[frozenset[Key], NameSet, tuple[CompiledResource, ...]],
    verdicts: frozenset[str],
    now: float,
    limit: int = MOST_REGIONS,
) -> list[Change]:
    """Return where calls of a pattern come to one of these verdicts (`Deny`, `Approval`, `Allow`), from `now` on.

    The pattern is subjects, actions and resources. Grants do not count: what one would let through is `Approval`. Of
    calls that others make on behalf of a subject, `Deny` is not looked for. `wider` occurs; `may widen` may occur.
    """
    # Its effect does not matter: it marks the regions in which to look.
    probe = unconditional(PolicyRef(key[0], "~", "~", 0), Effect.DENY, *pattern)
    return merge_changes(list(_PatternWalk(key, endpoint, probe, verdicts, now, limit).changes()))


class _PatternWalk(Walk):
    """Walks the regions of a rule that no side has, and looks for verdicts of the head; there is no base."""

    def __init__(
        self,
        key: EndpointKey,
        endpoint: CompiledEndpoint,
        probe: CompiledRule,
        verdicts: frozenset[str],
        now: float,
        limit: int,
    ) -> None:
        super().__init__(key, WalkSide(None), WalkSide(endpoint), now, limit, about=frozenset((probe,)))
        self._verdicts = verdicts

    def _denied_whole(self, named: NamedParty) -> Iterator[Change]:
        if _DENY in self._verdicts:
            yield Change(ChangeClass.WIDER, self._key, _DENY, {"subject": (named.label,)})

    def _reason(self, leaf: WalkLeaf) -> str:  # noqa: ARG002 - nothing changed
        return ""

    def _leaf(self, call: Call, time: float, snapshots: Sequence[Snapshot], worlds: Worlds) -> WalkLeaf:
        around = Circumstances(now=time)
        wanted = self._verdicts - {_DENY} if call.actors else self._verdicts
        worlds.begin()
        while True:
            verdict = decide(snapshots[1], call, (), around, DIGEST)
            found = LEVELS[level(verdict)]
            if found == _ALLOW and call.actors and _ALLOW not in wanted and self._is_gated(call):
                # A call that the person may make may still need an approval when another party makes it for them.
                found = _APPROVAL
            if found in wanted:
                return WalkLeaf(ChangeClass.WIDER, found, verdict.rule, when=worlds.descriptions)
            if not worlds.more():
                return _NOTHING
            self._count()

    def _is_gated(self, call: Call) -> bool:
        """Tell whether any rule requires an approval for a call of this action and resource, for any caller."""
        endpoint = self._head.endpoint
        speaking = endpoint.speaking_of(call.action.name) if endpoint is not None else ()
        return any(one.effect is Effect.REQUIRE_APPROVAL and one.covers(call.resource) for one in speaking)
