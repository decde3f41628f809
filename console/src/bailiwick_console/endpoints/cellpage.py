"""What a cell of the matrix says in full: each way through, given what, with whose yes, and the rules that speak there.

Standing: over `matrixpage` and `shownaccess`, whose table `what-can` prints too. Holds: pure; rules stand as their
policy has them, and none is left out without a count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from bailiwick_console.endpoints import matrixpage, overview, shownaccess
from bailiwick_console.endpoints.knownuses import KnownUses
from bailiwick_console.endpoints.shownaccess import ShownAccess
from bailiwick_console.endpoints.source import EndpointReading
from bailiwick_console.markup.listpages import ShownPart, page_of
from bailiwick_engine.policy.model import CompiledRule
from bailiwick_governance.apiserver.cluster import Object
from bailiwick_governance.grants.grantview import gate_terms
from bailiwick_governance.views import rightsview
from bailiwick_regions.atoms import describe_labels
from bailiwick_regions.rights.matrix import AccessMatrix, MatrixSubject

RULES: Final = 20


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as its policy has it. `text`: lines of YAML; `use`: what the policy's status says of all its rules.

    `recorded`: what the records say of the rule and this subject, if they were read.
    """

    policy: str
    name: str
    effect: str
    approval: str
    use: str
    recorded: tuple[str, ...]
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CellPage:
    """The page."""

    subject: str
    action: str
    note: str
    access: ShownAccess
    notes: tuple[str, ...]
    rules: ShownPart[RuleText]


def compose(
    found: EndpointReading, matrix: AccessMatrix, at: tuple[MatrixSubject, str], uses: KnownUses, wanted: str
) -> CellPage:
    """Return the page of a subject and an action. `wanted`: the number of the page of rules."""
    subject, action = at
    cell = matrix.cell(subject, action)
    speaking = () if subject.named is None else matrix.rules(subject.named.party)
    texts = page_of([rule for rule in speaking if action in rule.actions], wanted, RULES)
    policies = {raw["metadata"]["name"]: raw for raw in found.items}
    return CellPage(
        subject.label,
        describe_labels((matrix.actions[action],)),
        matrixpage.note(subject),
        shownaccess.access_table(cell),
        tuple(rightsview.notes(found.key, matrix.settings, cell or ())),
        ShownPart(tuple(_texts(texts.entries, policies, subject, uses)), texts.number, texts.pages, texts.total),
    )


def _texts(
    rules: Sequence[CompiledRule], policies: Mapping[str, Object], subject: MatrixSubject, uses: KnownUses
) -> Iterator[RuleText]:
    keys = frozenset() if subject.named is None else subject.named.party.keys
    for rule in rules:
        raw = policies.get(rule.policy.name)
        yield RuleText(
            rule.policy.name,
            rule.name,
            rule.effect.value,
            "" if rule.gate is None else gate_terms(rule.gate),
            "not known" if raw is None else overview.policy_state(raw).use,
            uses.told(rule, keys),
            () if raw is None else tuple(_lines(raw["spec"], rule.name)),
        )


def _lines(spec: Mapping[str, Any], name: str) -> Iterator[str]:
    """Yield a rule and the subjects that it names, as YAML."""
    rule = next((one for one in spec["rules"] if one.get("name") == name), None)
    if rule is None:
        return
    subjects = [one for one in spec["subjects"] if one.get("name") in rule.get("subjects", ())]
    body = {"subjects": subjects, "rules": [rule]}
    yield from yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=10**9).splitlines()
