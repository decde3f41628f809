"""Uses: the rules that let each party of an allowed call pass.

Standing: over `hops`, for code that counts uses, from the record of a call or from the call itself. Holds: pure; a rule
in Audit mode lets no call through.
"""

from collections.abc import Iterable, Iterator

from bailiwick_engine.call import Party
from bailiwick_engine.decision.hops import Hop
from bailiwick_engine.decision.match import Standing
from bailiwick_engine.policy.model import CompiledRule, Effect


def used_rules(passed: Iterable[Hop]) -> Iterator[tuple[Party, CompiledRule]]:
    """Yield each party, with each rule by which it passed: the first Allow that applies, and every gate."""
    for hop in passed:
        applying = [
            one.rule for one in hop.findings if one.standing is Standing.APPLIES and one.rule.effect is not Effect.DENY
        ]
        enforced = sorted((rule for rule in applying if not rule.audit), key=lambda rule: rule.place)
        allowed = [rule for rule in enforced if rule.gate is None][:1]
        for rule in (*allowed, *(one for one in enforced if one.gate is not None)):
            yield hop.party, rule
