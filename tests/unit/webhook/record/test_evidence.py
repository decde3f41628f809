"""Evidence: a record holds what the candidate rules read, and no value that must not be read."""

import json
import weakref
from itertools import product
from typing import Any, Final

import pytest

from bailiwick_engine.call import Action, Call, Party, Resource, ServiceAccount
from bailiwick_engine.cel import data
from bailiwick_engine.circumstances import Circumstances, Freshness
from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from bailiwick_webhook.record.line import RecordLines, disposition
from support.objects import Object, changed, policy, rule, settings, subject

AGENT: Final = "system:serviceaccount:agents:crm-agent"
KEY: Final = b"k" * 32


def stored(name: str = "crm-agent", **spec: object) -> Object:
    raw = policy("crm", name, **spec)
    raw["metadata"] |= {"uid": f"{name}-uid", "generation": 1}
    return raw


def reading(*expressions: str, **fields: Any) -> Object:  # noqa: ANN401 - of a rule
    conditions = [{"name": f"c{index}", "expression": text} for index, text in enumerate(expressions)]
    return rule(conditions=conditions, **fields)


def call(context: dict[str, Any] | None = None, *, actors: tuple[Party, ...] = (), **properties: Any) -> Call:  # noqa: ANN401 - any JSON
    return Call(
        "crm",
        "crm-api",
        ServiceAccount("system:serviceaccount:crm:crm-api", "pep-uid"),
        Party("serviceAccount", AGENT, "agent-uid", claims={"email": "a@b.example", "jti": "token-id"}),
        Action("customers.list"),
        Resource("customer", "42", properties or None),
        context or {},
        actors,
    )


def compiled(*policies: Object, sensitive: tuple[str, ...] = ()) -> Snapshot:
    return Snapshot.of(
        [compile_object(changed(one, "spec.sensitive", list(sensitive)) if sensitive else one) for one in policies]
    )


def recorded(
    snapshot: Snapshot,
    asked: Call,
    lines: RecordLines | None = None,
    *,
    now: float = 1_700_000_000.25,
    trace: str | None = None,
) -> list[dict[str, Any]]:
    verdict = decide(snapshot, asked, (), Circumstances(now, Freshness.FRESH, guard_proven=True))
    written = (lines or RecordLines(KEY)).line(
        asked,
        verdict,
        snapshot.endpoints.get((asked.namespace, asked.endpoint)),
        kind="evaluation",
        evaluation_id="eval_1",
        request_id='quoted "id"',
        trace=trace,
        allowed=verdict.outcome is Outcome.ALLOW,
        used=None,
        revision="7/8",
        age=0.1234,
        now=now,
    )
    assert written.endswith(b"\n")
    return [json.loads(line) for line in written.splitlines()]


def attributes(
    *expressions: str, asked: Call | None = None, sensitive: tuple[str, ...] = (), key: bytes | None = KEY
) -> Any:  # noqa: ANN401 - any JSON
    snapshot = compiled(stored(endpointSettings=settings(), rules=[reading(*expressions)]), sensitive=sensitive)
    (record,) = recorded(snapshot, asked or call(), RecordLines(key))
    return record.get("attributes")


class TestALine:
    def test_says_everything_that_it_said_and_what_ocsf_calls_it(self) -> None:
        (record,) = recorded(compiled(stored(endpointSettings=settings(), rules=[rule()])), call())
        policies = record.pop("policies")
        deciding = record.pop("policy")
        assert record == {
            "time": "2023-11-14T22:13:20.250+00:00",
            "now": 1_700_000_000.25,
            "kind": "evaluation",
            "class_uid": 6003,
            "category_uid": 6,
            "activity_id": 99,
            "activity_name": "evaluation",
            "type_uid": 600399,
            "severity_id": 1,
            "metadata": {"version": "1.9.0-dev", "profiles": ["security_control"], "product": {"name": "Bailiwick"}},
            "action_id": 1,
            "disposition_id": 1,
            "evaluation_id": "eval_1",
            "request_id": 'quoted "id"',
            "decision": True,
            "reason": "allowed",
            "dry_run": False,
            "endpoint": "crm/crm-api",
            "caller": {"id": "system:serviceaccount:crm:crm-api", "uid": "pep-uid"},
            "subject": {"type": "serviceAccount", "id": AGENT, "uid": "agent-uid", "issuer": "cluster"},
            "actors": [],
            "hop": None,
            "action": "customers.list",
            "resource": {"type": "customer", "id": "42"},
            "intent": None,
            "digest": None,
            "grant": None,
            "audit": [],
            "snapshot": {"revision": "7/8", "age_seconds": 0.123},
        }
        assert (deciding["name"], deciding["uid"], deciding["generation"], deciding["rule"]) == (
            "crm-agent",
            "crm-agent-uid",
            1,
            "read",
        )
        assert policies == {"crm-agent": deciding["digest"]}

    @pytest.mark.parametrize(
        ("now", "told"),
        [(0.0, "1970-01-01T00:00:00.000"), (1.9996, "1970-01-01T00:00:01.999"), (60, "1970-01-01T00:01:00.000")],
    )
    def test_has_the_time_to_the_millisecond(self, now: float, told: str) -> None:
        lines, snapshot = RecordLines(), compiled(stored(endpointSettings=settings(), rules=[rule()]))
        for _ in range(2):
            assert recorded(snapshot, call(), lines, now=now)[0]["time"] == f"{told}+00:00"

    def test_of_a_stranger_to_an_endpoint_that_nobody_knows(self) -> None:
        (record,) = recorded(compiled(), call())
        assert (record["endpoint"], record["policy"], record["disposition_id"]) == ("crm/crm-api", None, 26)
        assert "policies" not in record

    def test_carries_the_trace(self) -> None:
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        (record,) = recorded(compiled(), call(), trace=trace)
        assert record["traceparent"] == trace

    def test_names_the_policies_that_changed_since(self) -> None:
        lines = RecordLines()
        spec: dict[str, Any] = {"endpointSettings": settings(), "rules": [rule()]}
        (first,) = recorded(compiled(stored(**spec)), call(), lines)
        (then,) = recorded(compiled(stored(**spec), stored("other", rules=[rule("more")])), call(), lines)
        assert then["policies"].keys() == {"crm-agent", "other"}
        assert first["policies"].items() < then["policies"].items()

    def test_of_many_policies_refers_to_a_list_that_is_written_once(self) -> None:
        lines = RecordLines()
        others = [stored(f"p{number:02}", rules=[rule()]) for number in range(20)]
        snapshot = compiled(stored(endpointSettings=settings(), rules=[rule()]), *others)
        listed, first = recorded(snapshot, call(), lines)
        (second,) = recorded(snapshot, call(), lines)
        assert (listed["kind"], listed["endpoint"], len(listed["policies"])) == ("policies", "crm/crm-api", 21)
        assert listed["policies_digest"] == first["policies_digest"] == second["policies_digest"]
        assert "policies" not in second

    @pytest.mark.parametrize("reason", Reason)
    def test_of_a_denial_never_has_the_disposition_of_an_allow(self, reason: Reason) -> None:
        for outcome in (Outcome.DENY, Outcome.FORBIDDEN):
            assert disposition(Verdict(outcome=outcome, reason=reason), allowed=False) not in {1, 8}

    def test_says_of_each_outcome_its_own_whatever_was_written_before(self) -> None:
        lines = RecordLines()
        for outcome, reason, allowed, dry in product(Outcome, Reason, (True, False), (True, False)):
            verdict = Verdict(outcome=outcome, reason=reason, dry_run=dry)
            told = json.loads(b"{%b}" % lines._outcome("evaluation", verdict, allowed=allowed)[:-1])
            said = (told["disposition_id"], told["reason"], told["decision"], told["dry_run"])
            assert said == (disposition(verdict, allowed=allowed), reason.value, allowed, dry)


class TestAttributes:
    def test_are_those_that_the_candidates_read_and_no_others(self) -> None:
        asked = call({"count": 3, "unread": 1}, env="prod", owner="ann")
        told = attributes("context.count < 5", "resource.properties.env == 'prod' && subject.id != ''", asked=asked)
        assert told == {"context.count": 3, "resource.properties.env": "prod"}

    def test_that_are_absent_are_left_out(self) -> None:
        assert attributes("!has(context.count)") == {}

    def test_of_rules_that_are_no_candidates_are_left_out(self) -> None:
        other = subject("other", account="other")
        rules = [
            rule("mine"),
            reading("context.a == 1", name="another-subject", subjects=["other"]),
            reading("context.b == 1", name="another-action", actions=["customers.purge"]),
            reading("context.c == 1", name="another-resource", resources=[{"type": "order", "ids": ["*"]}]),
        ]
        snapshot = compiled(stored(endpointSettings=settings(), subjects=[subject(), other], rules=rules))
        (record,) = recorded(snapshot, call({"a": 1, "b": 1, "c": 1}))
        assert record["attributes"] == {}

    def test_include_the_properties_that_a_rule_asks_of_a_resource(self) -> None:
        resources = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
        snapshot = compiled(stored(endpointSettings=settings(), rules=[rule(resources=resources)]))
        (record,) = recorded(snapshot, call(env="prod", owner="ann"))
        assert record["attributes"] == {"resource.properties.env": "prod"}

    def test_include_claims_and_properties_of_the_action(self) -> None:
        assert attributes("subject.claims.email != ''", "!has(action.properties.x)") == {
            "subject.claims.email": "a@b.example"
        }

    def test_of_each_actor_stand_under_its_place_in_the_chain(self) -> None:
        actors = tuple(
            Party("serviceAccount", AGENT, f"uid-{number}", claims={"team": f"t{number}"}) for number in range(2)
        )
        told = attributes("actor.?claims.?team.orValue('') != ''", asked=call(actors=actors))
        assert told == {"actors[0].claims.team": "t0", "actors[1].claims.team": "t1"}

    @pytest.mark.parametrize("number", [10**30, -(10**30), 2**64])
    def test_that_are_integers_beyond_all_json_are_sealed_and_the_record_is_written(self, number: int) -> None:
        actors = (Party("serviceAccount", AGENT, "uid", claims={"n": number, "all": [number]}),)
        told = attributes("actor.claims.n == 1 || actor.claims.all == [1]", asked=call(actors=actors))
        assert told == {"actors[0].claims.all": {"redacted": True}, "actors[0].claims.n": {"redacted": True}}

    def test_of_odd_names_are_spelled_apart(self) -> None:
        asked = call({"a.b": 1, "a": {"b": 2}})
        told = attributes("context['a.b'] == 1 && context.a.b == 2", asked=asked)
        assert told == {"context['a.b']": 1, "context.a.b": 2}


class TestHowFarAnAttributeGoes:
    """To lack a member, and to be no object, are two things to a condition."""

    @pytest.mark.parametrize(
        ("context", "told"),
        [
            ({}, {}),
            ({"a": {}}, {"context.a": {}}),
            ({"a": {"x": 1}}, {"context.a": {}}),
            ({"a": {"b": {}}}, {"context.a.b": {}}),
            ({"a": "text"}, {"context.a": "text"}),
            ({"a": None}, {"context.a": None}),
            ({"a": {"b": [1]}}, {"context.a.b": [1]}),
            ({"a": {"b": {"c": 1}}}, {"context.a.b.c": 1}),
        ],
        ids=["nothing", "an object", "another member", "deeper", "a text", "null", "a list", "there"],
    )
    def test_is_told_where_it_is_absent(self, context: dict[str, Any], told: object) -> None:
        assert attributes("has(context.a.b.c)", asked=call(context)) == told

    def test_never_tells_what_is_sensitive(self) -> None:
        asked = call({"a": "secret"})
        told = attributes("has(context.a.b)", asked=asked, sensitive=("context.a.b",))
        assert [list(value) for value in told.values()] == [["hmac"]]

    @pytest.mark.parametrize(("intent", "told"), [("", True), ({"x": 1}, True), (None, True), ("support", False)])
    def test_is_told_of_an_intent_that_is_none(self, intent: Any, told: bool) -> None:  # noqa: ANN401 - any JSON
        found = attributes("context.intent == ''", asked=call({"intent": intent}))
        assert ("context.intent" in found) is told


class TestWhatIsKept:
    KEEP: Final = ("context.tenant", "context.args", "resource.properties.owner", "actor.claims.team")

    def recorded(self, asked: Call, sensitive: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - any JSON
        kept = {**settings(), "record": {"keep": list(self.KEEP)}}
        (record,) = recorded(compiled(stored(endpointSettings=kept, rules=[rule()]), sensitive=sensitive), asked)
        return record["attributes"]

    def test_stands_in_every_record_though_no_rule_reads_it(self) -> None:
        assert self.recorded(call({"tenant": "t1", "other": 1}, owner="ann")) == {
            "context.tenant": "t1",
            "resource.properties.owner": "ann",
        }
        assert self.recorded(call()) == {}

    def test_is_sealed_as_what_is_read(self) -> None:
        told = self.recorded(call({"tenant": "t1", "args": {"n": 1}}), sensitive=("context.tenant",))
        assert [list(told[name]) for name in ("context.tenant", "context.args")] == [["hmac"], ["hmac"]]

    def test_stands_of_each_actor(self) -> None:
        actors = (Party("serviceAccount", AGENT, "uid", claims={"team": "red"}),)
        assert self.recorded(call(actors=actors)) == {"actors[0].claims.team": "red"}


def test_a_property_that_keeps_a_deny_away_is_told_and_no_other_rules_is() -> None:
    resources = [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]
    never = rule("never", effect="Deny", resources=resources)
    elsewhere = rule(
        "elsewhere", effect="Deny", actions=["other"], resources=[{**resources[0], "properties": {"x": ["y"]}}]
    )
    snapshot = compiled(stored(endpointSettings=settings(), rules=[rule(), never, elsewhere]))
    (record,) = recorded(snapshot, call(env="test", x="z"))
    assert record["attributes"] == {"resource.properties.env": "test"}


def test_a_policy_that_is_suspended_or_being_deleted_is_told() -> None:
    going = stored("going", rules=[rule()])
    going["metadata"]["deletionTimestamp"] = "now"
    off = stored("off", suspend=True, rules=[rule()])
    (record,) = recorded(compiled(stored(endpointSettings=settings(), rules=[rule()]), going, off), call())
    assert record["suspended"] == ["going", "off"]


def test_a_workload_that_could_not_be_read_is_unknown_and_where_nobody_asks_it_is_not_told() -> None:
    workload = {"imageDigests": ["sha256:" + "a" * 64]}
    asking = compiled(
        stored(endpointSettings=settings(), subjects=[{**subject(), "workload": workload}], rules=[rule()])
    )
    (record,) = recorded(asking, call())
    assert record["subject"]["workload"] == "unknown"
    (record,) = recorded(compiled(stored(endpointSettings=settings(), rules=[rule()])), call())
    assert "workload" not in record["subject"]


class TestWhatMustNotBeRead:
    def test_is_an_hmac_that_is_equal_for_equal_values_alone(self) -> None:
        told = [
            attributes("context.iban != ''", asked=call({"iban": iban}), sensitive=("context.iban",), key=key)
            for iban, key in (("DE1", KEY), ("DE1", KEY), ("DE2", KEY), ("DE1", b"other" * 8))
        ]
        values = [one["context.iban"]["hmac"] for one in told]
        assert values[0] == values[1]
        assert len(set(values)) == 3
        assert "DE1" not in json.dumps(told)

    def test_is_only_a_mark_without_a_key(self) -> None:
        told = attributes("context.iban != ''", asked=call({"iban": "DE1"}), sensitive=("context.iban",), key=None)
        assert told == {"context.iban": {"redacted": True}}

    @pytest.mark.parametrize("expression", ["context.args.iban != ''", "context.args != {}", "context != {}"])
    def test_holds_for_arguments_always(self, expression: str) -> None:
        told = attributes(expression, asked=call({"args": {"iban": "DE1"}}))
        assert [list(value) for value in told.values()] == [["hmac"]]

    @pytest.mark.parametrize("path", ["context.payment.iban", "context.payment", "context.payment.iban.country"])
    def test_holds_for_what_is_above_and_below_it(self, path: str) -> None:
        told = attributes("context.payment.iban != ''", asked=call({"payment": {"iban": "DE1"}}), sensitive=(path,))
        assert list(told["context.payment.iban"]) == ["hmac"]

    def test_holds_for_every_policy_of_the_endpoint(self) -> None:
        plain = stored(endpointSettings=settings(), rules=[reading("context.iban != ''")])
        marked = stored("other", rules=[rule("more", actions=["other"])], sensitive=["context.iban"])
        (record,) = recorded(compiled(plain, marked), call({"iban": "DE1"}))
        assert list(record["attributes"]["context.iban"]) == ["hmac"]

    def test_holds_for_everything_while_a_policy_cannot_be_read(self) -> None:
        # It may have called it sensitive.
        other = subject("other", account="other")
        broken = stored("broken", subjects=[other], rules=[reading("1 +", subjects=["other"])])
        plain = stored(endpointSettings=settings(), rules=[reading("context.count > 0")])
        (record,) = recorded(compiled(plain, broken), call({"count": 3}))
        assert (list(record["attributes"]["context.count"]), record["policies"]["broken"]) == (["hmac"], None)

    @pytest.mark.parametrize("value", [{"a": 1}, [{"a": 1}], [1] * 17, "x" * 257, "\ud800", float("nan"), 2**53])
    def test_holds_for_what_is_long_or_deep_and_never_fails(self, value: Any) -> None:  # noqa: ANN401 - any JSON
        told = attributes("has(context.value)", asked=call({"value": value}))
        assert "context.value" in told
        if not isinstance(value, float | int):
            assert isinstance(told["context.value"], dict)


def test_nothing_is_kept_of_an_endpoint_that_is_gone_or_has_changed() -> None:
    lines = RecordLines(KEY)
    made = stored(endpointSettings=settings(), rules=[reading("context.count < 5")])
    snapshot = compiled(made)
    recorded(snapshot, call({"count": 1}), lines)
    kept = weakref.ref(snapshot.endpoints["crm", "crm-api"])
    rule_of_it = weakref.ref(snapshot.endpoints["crm", "crm-api"].rules[0].conditions[0].expression)
    del snapshot
    assert (kept(), rule_of_it(), lines._evidence) == (None, None, {})
    # What came in its place meanwhile is not taken away with it.
    first, second = compiled(made), compiled(changed(made, "spec.suspend", True))
    recorded(first, call({"count": 1}), lines)
    recorded(second, call({"count": 1}), lines)
    del first
    assert len(lines._evidence) == 1


def test_data_stands_by_its_digests_and_what_the_rules_read_of_it() -> None:
    sources = [{"name": "incident", "from": "incident-state"}, {"name": "gone"}]
    conditions = (
        "data.incident.open == true",
        "data.incident.people[resource.id] == 'x'",
        "has(data.incident.no.more)",
    )
    of = compiled(stored(data=sources, endpointSettings=settings(), rules=[reading(*conditions, "data.gone.x == 1")]))
    held = data.read_data("incident-state", "u", 1, {"data": {"open": True, "people": {"42": "x"}}})
    beside = Snapshot({key: endpoint.with_data({"incident-state": held}) for key, endpoint in of.endpoints.items()})
    (told,) = recorded(beside, call())
    assert told["data"] == {"gone": None, "incident-state": held.digest}
    read = told["attributes"]
    assert read["data['incident-state'].open"] is True
    assert read["data['incident-state'].people"]["hmac"]
    # What is absent, by the object that lacks it.
    assert read["data['incident-state']"] == {}
    assert not any("gone" in name for name in read)


def test_sensitive_data_stands_as_an_hmac_and_an_endpoint_without_data_has_no_such_member() -> None:
    conditions = reading("data.incident.open == true")
    spec: dict[str, Any] = {"data": [{"name": "incident"}], "endpointSettings": settings(), "rules": [conditions]}
    of = compiled(stored(**spec), sensitive=("data.incident.open",))
    held = data.read_data("incident", "u", 1, {"data": {"open": True}})
    beside = Snapshot({key: endpoint.with_data({"incident": held}) for key, endpoint in of.endpoints.items()})
    (told,) = recorded(beside, call())
    assert told["attributes"]["data.incident.open"]["hmac"]
    (plain,) = recorded(compiled(stored(endpointSettings=settings(), rules=[rule()])), call())
    assert "data" not in plain
