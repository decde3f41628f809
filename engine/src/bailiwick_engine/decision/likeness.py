"""Likeness: names of one search for which `decide` has the same verdict, by the rules that apply to each.

Standing: under `search`, which decides one name of each kind. Holds: two names have one kind only if a decision reads
the same of both, except for the names of rules. If that is uncertain, a name has no kind and is decided by itself.
"""

from collections.abc import Collection, Sequence
from typing import Final

from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.cel.conditions import Scope
from bailiwick_engine.cel.expressions import Expression
from bailiwick_engine.cel.inputs import inputs
from bailiwick_engine.cel.members import Path
from bailiwick_engine.decision import match
from bailiwick_engine.policy.dimensions.table import reads_of
from bailiwick_engine.policy.model import CompiledCeiling, CompiledCondition, CompiledRule, Effect
from bailiwick_engine.reasons import Reason
from bailiwick_engine.truth import Truth

ACTION_NAME: Final[Path] = ("action", "name")
RESOURCE_ID: Final[Path] = ("resource", "id")
NameKind = tuple[int, ...]
"""Equal of names about which `decide` says the same."""
_Traits = tuple[int, bool, bool, Reason | None, Truth, tuple[Expression | Scope, ...]]
_ALLOW: Final = Effect.ALLOW
_ALONE: Final = -1
"""In place of the number of traits: what such a rule says may differ from name to name."""


class NameKinds:
    """The kinds of the names of one search for actions, or for resources of a type.

    `call` has a blank for what is searched for, where conditions read it under the path `blank`. First each rule is
    listed that may speak of it, under the names that it gives.
    """

    def __init__(self, call: Call, blank: Path, ceiling: Sequence[CompiledCeiling], now: float) -> None:
        self._call = call
        self._blank = blank
        self._ceiling = ceiling if call.actors else ()
        self._now = now
        self._numbers: dict[_Traits, int] = {}
        self._unlike: set[int] = {_ALONE}
        self._listed: dict[str, list[int]] = {}
        self._open: list[tuple[CompiledRule, int]] = []

    def list_rule(self, rule: CompiledRule, hop: int, party: Party, names: Collection[str] | None) -> None:
        """List a rule that speaks of this party, at this place of the call's chain.

        `names` are those of which it speaks; None: it is to be asked of each.
        """
        named = match.naming(rule, party) if rule.workloads else True
        if named is False:
            return
        number = self._number(rule, hop, named)
        if names is None:
            self._open.append((rule, number))
            return
        for name in names:
            if name in self._listed:
                self._listed[name].append(number)
            else:
                self._listed[name] = [number]

    def _number(self, rule: CompiledRule, hop: int, named: Truth) -> int:
        """Return the number of all that a decision reads of a rule that covers a name. One without a gate may deny."""
        if rule.gate is not None and not rule.audit:
            return _ALONE
        off = match.disabled_reason(rule, self._call, self._now) if rule.limits else None
        conditions: tuple[Expression | Scope, ...] = ()
        for one in rule.conditions:
            conditions += (one.expression, one.scope)
        traits = (hop, rule.effect is _ALLOW, rule.audit, off, named, conditions)
        number = self._numbers.get(traits)
        if number is None:
            number = self._numbers[traits] = len(self._numbers)
            if self._reads_name(rule):
                self._unlike.add(number)
        return number

    def settle(self, names: Collection[str]) -> None:
        """Take up of which names `kind` will be asked, once all rules are listed."""
        asking = [number for traits, number in self._numbers.items() if traits[-1]]
        if asking and not self._inputs_alike(names):
            self._unlike.update(asking)

    def kind(self, name: str) -> NameKind | None:
        """Return the kind of a name; None: it has none."""
        found = tuple(self._listed.get(name, ()))
        if self._open or self._ceiling:
            action, resource = self._filled(name)
            found += tuple(
                number for rule, number in self._open if action.name in rule.actions and rule.covers(resource)
            )
            for place, entry in enumerate(self._ceiling):
                if entry.covers(action.name, resource):
                    if entry.conditions:
                        return None
                    # Apart from the numbers of traits.
                    found += (len(self._numbers) + place,)
        return found if self._unlike.isdisjoint(found) else None

    def _filled(self, name: str) -> tuple[Action, Resource]:
        call = self._call
        if self._blank is ACTION_NAME:
            return Action(name), call.resource
        return call.action, replace(call.resource, id=name)

    def _reads_name(self, rule: CompiledRule) -> bool:
        """Tell whether a rule may read the name, or what holds it, or has a condition that is no ordinary one."""
        return any(type(condition) is not CompiledCondition for condition in rule.conditions) or any(
            path[: len(self._blank)] == self._blank[: len(path)] for path in reads_of(rule)
        )

    def _inputs_alike(self, names: Collection[str]) -> bool:
        """Tell whether what conditions see is of one sort whatever the name, see `Inputs`."""
        joined = "".join(names)
        # So no name has a NUL character, none is what JSON cannot hold, and each takes twice its length at most.
        if not (joined.isascii() and joined.isprintable()):
            return False
        longest = "x" * (2 * max(map(len, names), default=0))
        # What conditions see of an actor is added at its hop.
        return all(self._small("", actor) is self._small(longest, actor) for actor in (None, *self._call.actors))

    def _small(self, name: str, actor: Party | None) -> bool:
        action, resource = self._filled(name)
        call, subject = replace(self._call, action=action, resource=resource), self._call.subject
        return isinstance(subject, Party) and inputs(call, subject, self._now, actor).small
