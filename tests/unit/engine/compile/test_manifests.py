"""What is told of files that are sound one by one: settings that nobody carries, or two do, and what has expired."""

import re
from datetime import UTC, datetime
from typing import Final

import pytest
import yaml

from bailiwick_engine.budget.ledger import Budget, BudgetLedger
from bailiwick_engine.compile import acceptance, checks, manifests
from bailiwick_engine.compile.assembly import assemble
from bailiwick_engine.compile.manifests import ManifestEntry
from bailiwick_engine.steps import whole
from support.objects import Object, gated_rule, policy, rule, settings, subject
from unit.engine.cases import NOW, at

CARRIER: Final = policy("crm", "carrier", endpointSettings=settings())


def entries(*objects: Object) -> list[ManifestEntry]:
    raw = "---\n".join(yaml.safe_dump(one, sort_keys=False) for one in objects).encode()
    read = [whole(manifests.contents("p.yaml", document, BudgetLedger(Budget()))) for document in manifests.parse(raw)]
    return [entry for contents in read for entry in contents.entries]


def problems(*objects: Object) -> list[tuple[str, str]]:
    _, reports = whole(assemble(entries(*objects), ""))
    return [(report.problem, report.denies) for report in reports]


def warnings(now: float, *objects: Object) -> list[str]:
    return [expiry.problem for entry in entries(*objects) for expiry in entry.expiries if expiry.time <= now]


def test_one_carrier_is_no_problem() -> None:
    assert problems(CARRIER, policy("crm", "other"), policy("elsewhere", "carrier", endpointSettings=settings())) == []


def test_settings_that_two_policies_carry_are_told_at_both_and_deny_the_endpoint() -> None:
    found = problems(CARRIER, policy("crm", "first"), policy("crm", "second", endpointSettings=settings()))
    assert found == [
        (
            f"p.yaml:{line}:3: spec.endpointSettings: {acceptance.conflict_message('crm-api', [other])}",
            "crm/crm-api",
        )
        for line, other in ((24, "second"), (76, "carrier"))
    ]


def test_settings_that_cannot_be_read_count_as_a_carrier() -> None:
    found = problems(CARRIER, policy("crm", "second", endpointSettings={}))
    assert [problem for problem, _ in found if "are also in second" in problem]


def test_an_endpoint_without_settings_is_told_once() -> None:
    (told,) = problems(
        policy("crm", "first"), policy("crm", "second"), policy("elsewhere", endpointSettings=settings())
    )
    said = f"{acceptance.unconfigured_message('crm-api')}; if a file that was not read has them, add that file"
    assert told == (f"p.yaml:7:13: spec.endpoint: {said}", "crm/crm-api")


def test_a_candidate_in_the_place_of_a_policy_is_no_problem_though_it_carries_settings_too() -> None:
    candidate = policy("crm", "next", mode="Audit", replaces="carrier", endpointSettings=settings())
    assert problems(CARRIER, candidate) == []


def test_a_candidate_in_nobodys_place_is_told_so_and_denies_nothing() -> None:
    elsewhere = policy("crm", "billing", endpoint="billing", endpointSettings=settings())
    made = {name: policy("crm", name, mode="Audit", replaces=of) for name, of in REPLACING.items()}
    found = problems(CARRIER, policy("crm", "first"), elsewhere, *made.values())
    assert {denies for _, denies in found} == {"nothing: Audit mode"}
    told = [re.fullmatch(r"p.yaml:\d+:13: spec.replaces: (.*)", problem) for problem, _ in found]
    assert [one and one[1].partition(", so")[0] for one in told] == [
        "crm-api has no policy typo",
        "billing is a policy of billing",
        "carrier is also replaced by d",
        "carrier is also replaced by c",
        "a replaces a policy itself",
    ]


REPLACING: Final = {"a": "typo", "b": "billing", "c": "carrier", "d": "carrier", "e": "a", "f": "first"}


EXPIRED: Final[dict[str, tuple[Object, list[str]]]] = {
    "an Allow": (
        policy("crm", rules=[rule(), rule("old", expireTime=at(-1))]),
        [f"p.yaml:34:17: spec.rules[1].expireTime: rule old expired at {at(-1)}: it no longer allows any call"],
    ),
    "a gate": (
        policy("crm", rules=[gated_rule(expireTime=at(-1))]),
        [
            (
                f"p.yaml:29:17: spec.rules[0].expireTime: rule export expired at {at(-1)}: it denies every call that it"
                " covers"
            )
        ],
    ),
    "the whole policy": (
        policy("crm", rules=[rule(), gated_rule(expireTime=at(-5))], expireTime=at(0)),
        [
            f"p.yaml:40:15: spec.expireTime: {checks.expiry_message(datetime.fromtimestamp(NOW, UTC))}",
            (
                f"p.yaml:39:17: spec.rules[1].expireTime: rule export expired at {at(-5)}: it denies every call that it"
                " covers"
            ),
        ],
    ),
    "nothing yet": (policy("crm", rules=[rule(expireTime=at(1))], expireTime=at(1)), []),
    "nothing at all": (policy("crm"), []),
}


@pytest.mark.parametrize(("written", "told"), EXPIRED.values(), ids=EXPIRED)
def test_what_has_expired_is_told_where_it_stands(written: Object, told: list[str]) -> None:
    assert warnings(NOW, written) == told


def test_a_policy_that_does_not_compile_says_nothing_of_its_expiry() -> None:
    broken = policy("crm", rules=[rule(expireTime=at(-1), subjects=["nobody"])], subjects=[subject()])
    assert warnings(NOW, broken) == []
