"""The matrix: who may do what at one endpoint, subject by subject and action by action.

Standing: over `questions`. Holds: a cell is what `what_can` tells of that subject and action; of whom, or of what,
there is too much to look at, it says so, and never that nothing comes through.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from bailiwick_engine import keys
from bailiwick_engine.call import Party
from bailiwick_engine.keys import CLUSTER, SERVICE_ACCOUNT, Key
from bailiwick_engine.policy.dimensions.atom import FRESH, TooManyError
from bailiwick_engine.policy.model import CompiledRule, CompiledSettings
from bailiwick_engine.policy.snapshot import CompiledEndpoint, EndpointKey
from bailiwick_regions import atoms
from bailiwick_regions.parties import NamedParty, is_accepted, parties
from bailiwick_regions.rights.answers import AccessRow
from bailiwick_regions.rights.circumstances import CallCircumstances
from bailiwick_regions.rights.outcomes import MOST_DECISIONS, EndpointOutcomes
from bailiwick_regions.rights.questions import FoundWays, keys_beside, places, rows_of_action, same, together

MOST_OF_A_CELL: Final = 4_000
"""So many decisions one cell may take among others; alone it may take as many as a question."""
OTHERS: Final = "~"
"""The id of a subject that no rule names."""
_TOGETHER: Final = "&"
_MOST_COMBINATIONS: Final = 256

Cell = tuple[AccessRow, ...] | None
"""What comes through there; None: there is more to look at than is looked at."""


@dataclass(frozen=True, slots=True)
class MatrixSubject:
    """Whom a row is about. `named` None: the endpoint accepts no subject of that issuer.

    `id` is one that no other row has.
    """

    id: str
    label: str
    named: NamedParty | None


def named_keys(endpoint: CompiledEndpoint) -> tuple[Key, ...]:
    """Return the subjects that rules of an endpoint name, in order of label."""
    return tuple(sorted({key for rule in endpoint.enforced for key in rule.subjects}, key=keys.label))


class AccessMatrix:
    """One endpoint at one time, in seconds since the epoch. `actions`: by labels, see `atoms.describe_labels`.

    `keys` are the subjects that rules name, in order of label. Raises `TooManyError`.
    """

    def __init__(self, key: EndpointKey, endpoint: CompiledEndpoint, now: float) -> None:
        self._endpoint = endpoint
        self._outcomes = EndpointOutcomes(key, endpoint, now)
        self.actions: Mapping[str, str] = atoms.names(rule.actions for rule in endpoint.enforced)
        self._rules: dict[Key, list[CompiledRule]] = {}
        for rule in endpoint.enforced:
            for one in rule.subjects:
                self._rules.setdefault(one, []).append(rule)
        self.keys = named_keys(endpoint)

    @property
    def settings(self) -> CompiledSettings | None:
        """The settings of the endpoint."""
        return self._endpoint.settings

    def subject(self, key: Key) -> MatrixSubject:
        """Return the row of a subject that rules name."""
        return MatrixSubject(key, keys.label(key), self._party(key))

    @property
    def others(self) -> MatrixSubject:
        """The row of a subject that no rule names."""
        issuer = None if self._asserted else CLUSTER
        party = Party(SERVICE_ACCOUNT, f"system:serviceaccount:{FRESH}:{FRESH}", FRESH, issuer=issuer)
        return MatrixSubject(OTHERS, "any other", NamedParty(party, "any other", (party.keys,)))

    def cell(self, subject: MatrixSubject, action: str, most: int = MOST_DECISIONS) -> Cell:
        """Return what a subject may do by an action of `actions`. `most`: decisions that may take."""
        if subject.named is None:
            return ()
        party = subject.named.party
        self._outcomes.left = most
        try:
            return tuple(
                rows_of_action(self._outcomes, self.rules(party), party, subject.label, (action, self.actions[action]))
            )
        except TooManyError:
            return None

    def taken(self, most: int) -> int:
        """Return how many of these decisions the last cell took."""
        return most - max(self._outcomes.left, 0)

    def rules(self, party: Party) -> list[CompiledRule]:
        """Return the rules that name a party, in order of place."""
        held = [key for key in party.keys if key in self._rules]
        if len(held) == 1:
            return self._rules[held[0]]
        return sorted(dict.fromkeys(rule for key in held for rule in self._rules[key]), key=lambda rule: rule.place)

    def combinations(self) -> tuple[list[MatrixSubject], bool]:
        """Return who has several of the keys at once, those of the fewest first; and whether there are more."""
        listed = parties(
            self._endpoint.enforced,
            lambda issuer: keys_beside(self._endpoint, self._endpoint.enforced, issuer),
            verified=not self._asserted,
            asserted=self._asserted,
        )
        several = (one for one in listed if len(one.parts) > 1 and self._accepts(one))
        found = list(islice(several, _MOST_COMBINATIONS + 1))
        capped = len(found) > _MOST_COMBINATIONS or any(one.capped for one in found)
        kept = sorted(found[:_MOST_COMBINATIONS], key=lambda one: len(one.parts))
        return [MatrixSubject(f"{_TOGETHER}{one.label}", one.label, one) for one in kept], capped

    def telling(self, combinations: Sequence[MatrixSubject], most: int) -> Iterator[tuple[MatrixSubject, bool | None]]:
        """Yield each of them with whether they may do something else than their parts say together; None: too much.

        `most`: decisions that all of it may take.
        """
        told: list[NamedParty] = []
        self._outcomes.left = most
        for subject in combinations:
            named = subject.named
            if named is None:
                continue
            try:
                other = self._says_more(told, named)
            except TooManyError:
                yield subject, None
                continue
            if other:
                told.append(named)
            yield subject, other

    def _says_more(self, told: Sequence[NamedParty], named: NamedParty) -> bool:
        fewer = [*self._parts(named), *(one for one in told if set(one.parts) < set(named.parts))]
        own = self.rules(named.party)
        for action in self.actions:
            for place, _ in places(self._outcomes.key, own, action):
                rules = list(dict.fromkeys(rule for rule, _ in place.entries(own)))
                around = CallCircumstances.of(place, rules, named.party.keys)
                ends = atoms.ends(rules, self._outcomes.now)

                def found(one: NamedParty, around: CallCircumstances = around, ends: list[float] = ends) -> FoundWays:
                    return {told: self._outcomes.ways(call, ends) for call, told in around.calls(one.party)}

                said = together([(one, found(one)) for one in fewer], named)
                if not all(same(ways, said.get(told, ())) for told, ways in found(named).items()):
                    return True
        return False

    def _parts(self, named: NamedParty) -> Iterator[NamedParty]:
        """Yield somebody for each part: of groups that the same rules name, one stands for all."""
        for part in named.parts:
            one = self._party(min(part))
            if one is not None:
                yield replace(one, parts=(part,))

    @property
    def _asserted(self) -> bool:
        settings = self._endpoint.settings
        return settings is not None and settings.asserted

    def _accepts(self, named: NamedParty) -> bool:
        return is_accepted(self._endpoint.settings, named.party.issuer)

    def _party(self, key: Key) -> NamedParty | None:
        """Return the party that has this one key."""
        listed = self._rules.get(key)
        if not listed:
            return None
        alone = replace(listed[0], subjects=frozenset((key,)))
        found = parties(
            (alone,), lambda _: ((key, frozenset((0,))),), verified=not self._asserted, asserted=self._asserted
        )
        return next((one for one in found if self._accepts(one)), None)
