"""`validate`: errors are what the cluster would refuse, warnings what is likely not meant; each with its place."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from bailiwick_engine.budget.ledger import Budget
from bailiwick_governance.sources import policies
from support.objects import Object, gated_rule, policy, rule, settings
from support.suites import run_validate, written

EVERY: Final[dict[str, Any]] = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}
GROUPS: Final = {"steps": [{"name": "owner", "kind": "Human", "count": 1, "groups": ["system:nodes"]}]}
LONG: Final = {"steps": [{"name": "owner", "kind": "Human", "count": 1}], "windowSeconds": 86400}


EXPORT: Final = rule("export", actions=["customers.export"])


def made(*rules: Object, **spec: Any) -> Object:  # noqa: ANN401 - fields of a spec
    return policy("crm", rules=list(rules), endpointSettings=settings(), **spec)


def counted(*rules: Object, **history: Any) -> Object:  # noqa: ANN401 - fields of a definition
    """Return a policy whose exports are counted."""
    definition = {"name": "exports", "key": ["agent"], "window": "1h", "counts": {"actions": ["customers.export"]}}
    carrying = {**settings(), "history": [{**definition, **history}]}
    return policy("crm", rules=list(rules), endpointSettings=carrying)


def test_a_history_that_rules_read_and_every_call_can_be_counted_in_is_no_finding(tmp_path: Path) -> None:
    limit = {**EXPORT, "conditions": [{"name": "c", "expression": "history.exports.count <= 5"}]}
    assert findings(tmp_path, counted(limit)) == (0, [])
    # Nor is one whose rule reads it, or that counts other calls.
    summed = {"key": ["agent", "context.currency"], "amount": {"of": "context.amount", "digits": 2}}
    assert findings(tmp_path, counted(limit, **summed)) == (0, [])
    assert findings(tmp_path, counted(rule(), **summed)) == (0, [])
    elsewhere = {"counts": {"actions": ["*"], "resources": [{"type": "order", "ids": ["*"]}]}}
    assert findings(tmp_path, counted(EXPORT, **summed, **elsewhere)) == (0, [])


def findings(folder: Path, *objects: Object) -> tuple[int, list[Any]]:
    written(folder, {"policy.yaml": list(objects)})
    ran = run_validate(folder, output="json")
    return ran.code, json.loads(ran.out)["findings"]


@pytest.mark.parametrize(
    ("objects", "severity", "said"),
    [
        ([made(rule(), efect="Allow")], "error", "spec.efect: unknown field"),
        ([made(rule(conditions=[{"name": "c", "expression": "contxt.x"}]))], "error", "expression"),
        ([made(gated_rule(approval=GROUPS))], "error", "no person is in system:nodes"),
        ([made(rule()), made(rule())], "error", "is also defined at"),
        ([policy("crm")], "error", "no policy of crm-api has spec.endpointSettings"),
        ([made(rule(), data=[{"name": "state"}])], "error", "there is no EndpointData crm/state"),
        ([made(rule(expireTime="2020-01-01T00:00:00Z"))], "warning", "rule read expired at"),
        ([made(gated_rule(approval=LONG))], "warning", "an approval for one use is valid for 86400 seconds"),
        (
            [made(rule(), rule("never", effect="Deny", **EVERY))],
            "warning",
            "rule read never decides: crm-agent/never denies every call that it covers",
        ),
        (
            [made(rule(), gated_rule("ask", **EVERY))],
            "warning",
            "rule read never decides: crm-agent/ask requires an approval",
        ),
        (
            [made(rule(), rule("all", **EVERY))],
            "warning",
            "rule read is not needed: crm-agent/all allows every call that it allows",
        ),
        ([made(rule(), rule("same"))], "warning", "rule same is not needed: crm-agent/read allows"),
        (
            [made(rule(conditions=[{"name": "c", "expression": "history.exprts.count < 5"}]))],
            "warning",
            "rule read reads history.exprts, but endpointSettings.history has no exprts (it has none)",
        ),
        (
            [counted(rule(conditions=[{"name": "c", "expression": "history.exports.sum < 5"}]))],
            "warning",
            "rule read reads history.exports.sum, but history exports has no amount",
        ),
        (
            [counted(EXPORT, key=["agent", "context.tenant"])],
            "warning",
            "history exports counts calls that rule export lets through: one that lacks context.tenant is denied",
        ),
        (
            [counted(EXPORT, amount={"of": "context.amount", "digits": 2})],
            "warning",
            "history exports counts calls that rule export lets through: one that lacks context.amount is denied",
        ),
        (
            [counted(rule(), key=["resource.properties.db"])],
            "warning",
            "history exports: resource.properties.db is only the enforcer's word",
        ),
    ],
)
def test_a_finding_has_its_place(tmp_path: Path, objects: list[Object], severity: str, said: str) -> None:
    code, found = findings(tmp_path, *objects)
    assert code == 1
    matching = [one for one in found if said in one["message"]]
    assert matching, found
    assert matching[0]["severity"] == severity
    assert matching[0]["file"].endswith("policy.yaml")
    assert matching[0]["line"] >= 1


NOBODY: Final = "rule read can never be about group:corpp/staff: the endpoint accepts subjects of"
STAFF: Final = [{"name": "staff", "group": {"issuer": "corpp", "name": "staff"}}]
PEOPLE: Final[Object] = {"identity": {"issuers": ["cluster", "corp"]}}
DELEGATION: Final[Object] = {
    "delegation": {"maxDepth": 1, "principals": ["agent"], "ceiling": [{**EVERY}]},
}


def named(rules: list[Object], own: Object, **spec: Any) -> Object:  # noqa: ANN401 - fields of a spec
    agent = {"name": "agent", "serviceAccount": {"namespace": "agents", "name": "crm-agent"}}
    return policy("crm", rules=rules, subjects=[agent, *STAFF], endpointSettings={**settings(), **own}, **spec)


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_a_rule_about_somebody_whom_nobody_vouches_for_is_told(tmp_path: Path, effect: str) -> None:
    code, (found,) = findings(tmp_path, named([rule(effect=effect, subjects=["agent", "staff"])], PEOPLE))
    assert (code, found["severity"], found["message"]) == (
        1,
        "warning",
        f"spec.rules[0].subjects: {NOBODY} cluster, corp",
    )


def test_a_rule_about_a_group_where_the_enforcer_names_subjects_is_told(tmp_path: Path) -> None:
    asserted = {"identity": {"verification": "Asserted"}}
    _, (found,) = findings(tmp_path, named([rule(subjects=["agent", "staff"])], asserted))
    assert "group:corpp/staff: the endpoint takes the enforcer's word" in found["message"]


@pytest.mark.parametrize(
    ("own", "spec"),
    [
        ({"identity": {"issuers": ["corpp", "cluster"]}}, {}),
        ({**PEOPLE, **DELEGATION}, {}),
        (PEOPLE, {"mode": "Audit"}),
    ],
    ids=["it is accepted", "it may speak of actors", "nothing is decided"],
)
def test_nothing_is_said_of_a_rule_that_may_be_about_somebody(tmp_path: Path, own: Object, spec: Object) -> None:
    _, found = findings(tmp_path, named([rule(subjects=["agent", "staff"])], own, **spec))
    assert [one["message"] for one in found if "can never be about" in one["message"]] == []


def test_sarif_has_each_finding_at_its_line(tmp_path: Path) -> None:
    written(tmp_path, {"a policy.yaml": [made(rule(), gated_rule(approval=LONG)), policy("crm", "bad", efect="x")]})
    ran = run_validate(tmp_path, output="sarif")
    run = json.loads(ran.out)["runs"][0]
    assert (ran.code, run["tool"]["driver"]["name"]) == (1, "bailiwick validate")
    known = {one["id"] for one in run["tool"]["driver"]["rules"]}
    levels = {one["level"]: one for one in run["results"]}
    assert {"error", "warning"} == levels.keys()
    assert {one["ruleId"] for one in run["results"]} <= known
    assert "is valid for 86400 seconds" in levels["warning"]["message"]["text"]
    place = levels["warning"]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].endswith("/a%20policy.yaml")
    assert place["region"]["startLine"] > 1


@pytest.mark.parametrize(
    "other",
    [
        rule("never", effect="Deny", conditions=[{"name": "c", "expression": "context.x == 1"}], **EVERY),
        rule("never", effect="Deny", actions=["customers.list"], resources=[{"type": "customer", "ids": ["a"]}]),
        rule("never", effect="Deny", actions=["customers.get"], resources=EVERY["resources"]),
        rule(
            "never",
            effect="Deny",
            actions=["*"],
            resources=[{"type": "customer", "ids": ["*"], "properties": {"a": ["b"]}}],
        ),
        rule("all", intents=["support"], **EVERY),
        rule("all", expireTime="2999-01-01T00:00:00Z", **EVERY),
    ],
    ids=["a condition", "one id", "another action", "a property", "an intent", "an end"],
)
def test_a_rule_that_another_may_not_cover_is_not_called_unreachable(tmp_path: Path, other: Object) -> None:
    _, found = findings(tmp_path, made(rule(), other))
    assert [one["message"] for one in found if "rule read" in one["message"]] == []


def test_a_policy_in_audit_mode_hides_nothing(tmp_path: Path) -> None:
    audit = policy("crm", "audit", mode="Audit", rules=[rule("never", effect="Deny", **EVERY)])
    assert findings(tmp_path, made(rule()), audit) == (0, [])


def test_what_is_sound_is_no_finding(tmp_path: Path) -> None:
    written(tmp_path, {"policy.yaml": made(rule(), gated_rule())})
    ran = run_validate(tmp_path)
    assert (ran.code, ran.out, ran.err) == (0, "1 policies: 0 errors, 0 warnings\n", "")


def test_what_holds_no_policy_could_not_be_judged(tmp_path: Path) -> None:
    written(tmp_path, {"other.yaml": {"apiVersion": "v1", "kind": "ConfigMap"}})
    ran = run_validate(tmp_path)
    assert (ran.code, "no EndpointPolicy found" in ran.err) == (2, True)


def test_a_file_that_cannot_be_read_is_no_finding_but_a_failure(tmp_path: Path) -> None:
    written(tmp_path, {"policy.yaml": made(rule())})
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
    ran = run_validate(tmp_path)
    assert (ran.code, "gone.yaml:1:1: the file: no such file" in ran.out) == (2, True)


def test_a_policy_over_budget_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "Budget", lambda: Budget(policies=1))
    _, found = findings(tmp_path, made(rule()), policy("crm", "more"))
    assert [one["message"] for one in found if "OverBudget: the namespace has 1 other policies" in one["message"]]


def test_what_is_denied_because_of_an_error_is_told(tmp_path: Path) -> None:
    _, found = findings(tmp_path, made(rule(effect="Alow")))
    assert found[0]["denies"] == "its subjects on crm/crm-api"
