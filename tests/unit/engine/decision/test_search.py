"""Searches: what is found, and when there may be more."""

import dataclasses
from typing import Any, Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision import search
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.decision.search import MAX_CANDIDATES, Prospect, Prospects, SearchKind, candidates, try_name
from bailiwick_engine.decision.verdict import Outcome, Verdict
from bailiwick_engine.keys import CLUSTER
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.snapshot import CompiledEndpoint, Snapshot
from bailiwick_engine.revocations import PartyRevocation, Revocations
from support.objects import AGENT, ENDPOINT, Object, gated_rule, rule, settings, subject
from unit.engine.cases import AROUND, CALL, NAMESPACE, NOW, at, carrier, governed, snapshot, sound, stored

POLICY: Final = sound(stored("made", rule()))
ANYBODY: Final = Party("serviceAccount", "", "", hypothetical=True)
SOMEONE: Final = Party("user", "", "", hypothetical=True)
ROBOT: Final = {"podSelector": {"matchLabels": {"app": "x"}}}


def found(on: Snapshot, kind: SearchKind, call: Call, around: Circumstances = AROUND) -> tuple[list[str], bool]:
    endpoint = on.endpoints[NAMESPACE, ENDPOINT]
    listed = candidates(endpoint, kind, call, NOW)
    outcomes = [try_name(on, endpoint, kind, call, name, around) for name in listed.names]
    hits = [name for name, outcome in zip(listed.names, outcomes, strict=True) if outcome is Prospect.ALLOWED]
    return hits, listed.hidden or not {Prospect.APPROVAL, Prospect.HIDDEN}.isdisjoint(outcomes)


def allow(name: str = "a", **fields: object) -> Object:
    return rule(name, actions=["export"], **fields)


def ids(*names: str, **fields: object) -> list[Object]:
    return [{"type": "customer", "ids": list(names), **fields}]


EXPORT: Final = replace(CALL, action=Action("export"))
RESOURCES: Final[dict[str, tuple[list[Object], list[str], bool]]] = {
    "literal ids": ([allow(resources=ids("2", "1"))], ["1", "2"], False),
    "a wildcard": ([allow(resources=ids("1", "*"))], ["1"], True),
    "a prefix": ([allow(resources=ids("1", "a/*"))], ["1"], True),
    "a gate": ([allow(resources=ids("1")), gated_rule("b", actions=["export"], resources=ids("2"))], ["1"], True),
    "a gate and an Allow": (
        [allow(resources=ids("1")), gated_rule("b", actions=["export"], resources=ids("1"))],
        [],
        True,
    ),
    "a Deny": (
        [allow(resources=ids("1", "2")), rule("b", effect="Deny", actions=["*"], resources=ids("2"))],
        ["1"],
        False,
    ),
    "another type": ([allow(resources=[{"type": "order", "ids": ["*"]}])], [], False),
    "another action": ([rule(actions=["delete"], resources=ids("*"))], [], False),
    "any action": ([rule(actions=["*"], resources=ids("1"))], ["1"], False),
    "an expired wildcard": ([allow(resources=ids("*"), expireTime=at(0))], [], False),
    "another intent": ([allow(resources=ids("*"), intents=["support"])], [], False),
    "a property that the search does not tell": ([allow(resources=ids("1", properties={"env": ["prod"]}))], [], False),
    "a false condition": (
        [allow(resources=ids("1", "2"), conditions=[{"name": "c", "expression": "resource.id == '2'"}])],
        ["2"],
        False,
    ),
    "a condition that lacks a value": (
        [allow(resources=ids("1"), conditions=[{"name": "c", "expression": "context.nothing == 1"}])],
        [],
        True,
    ),
}


class TestResources:
    @pytest.mark.parametrize("name", RESOURCES)
    def test_are_those_that_policies_name(self, name: str) -> None:
        rules, hits, incomplete = RESOURCES[name]
        assert found(governed(*rules), SearchKind.RESOURCE, EXPORT) == (hits, incomplete)

    def test_of_a_subject_whom_no_rule_names_are_none(self) -> None:
        other = replace(EXPORT, subject=Party("serviceAccount", "other", "uid"))
        assert found(governed(allow(resources=ids("*", "1"))), SearchKind.RESOURCE, other) == ([], False)

    def test_of_an_audit_policy_are_none(self) -> None:
        on = snapshot(carrier(), stored("audit", allow(resources=ids("1", "*")), mode="Audit"))
        assert found(on, SearchKind.RESOURCE, EXPORT) == ([], False)

    def test_are_so_many_at_most(self) -> None:
        names = [f"{number:04}" for number in range(MAX_CANDIDATES + 1)]
        rules = [allow(f"r{start}", resources=ids(*names[start : start + 64])) for start in range(0, len(names), 64)]
        policies = [stored(f"p{index}", *rules[index : index + 16]) for index in range(0, len(rules), 16)]
        hits, incomplete = found(snapshot(carrier(), *policies), SearchKind.RESOURCE, EXPORT)
        assert (hits, incomplete) == (names[:MAX_CANDIDATES], True)


class TestActions:
    @pytest.mark.parametrize(
        ("actions", "hits", "incomplete"),
        [(["read", "list"], ["list", "read"], False), (["read", "x.*"], ["read"], True), (["*"], [], True)],
    )
    def test_are_those_that_policies_name(self, actions: list[str], hits: list[str], incomplete: bool) -> None:
        assert found(governed(rule(actions=actions)), SearchKind.ACTION, CALL) == (hits, incomplete)

    def test_of_another_resource_are_none(self) -> None:
        on = governed(rule(actions=["read", "*"], resources=ids("1")))
        assert found(on, SearchKind.ACTION, replace(CALL, resource=Resource("customer", "2"))) == ([], False)


def identified(*rules: Object, subjects: list[Object], **identity: Any) -> Snapshot:  # noqa: ANN401 - of `identity`
    carried = {**settings(), "identity": identity} if identity else settings()
    return snapshot(carrier(endpointSettings=carried), stored("p", *rules, subjects=subjects))


def account(name: str, **fields: object) -> Object:
    return {"name": name, "serviceAccount": {"namespace": "agents", "name": name}, **fields}


def username(name: str) -> str:
    return f"system:serviceaccount:agents:{name}"


def person(name: str) -> Object:
    return {"name": name, "user": {"issuer": "corp", "name": name}}


def group(name: str) -> Object:
    return {"name": name, "group": {"issuer": "corp", "name": name}}


class TestSubjects:
    def search(self, on: Snapshot, blank: Party = ANYBODY) -> tuple[list[str], bool]:
        return found(on, SearchKind.SUBJECT, replace(EXPORT, subject=blank))

    def test_are_the_service_accounts_that_policies_name(self) -> None:
        on = identified(allow(subjects=["a", "b"]), subjects=[account("b"), account("a"), account("c")])
        assert self.search(on) == ([username("a"), username("b")], False)

    def test_that_must_call_from_a_workload_may_be_more(self) -> None:
        on = identified(allow(subjects=["a", "b"]), subjects=[account("a"), account("b", workload=ROBOT)])
        assert self.search(on) == ([username("a")], True)

    @pytest.mark.parametrize(
        "expression",
        [
            "subject.?claims.?x.orValue('') == ''",
            "subject[?'cl\\u0061ims'].?x.orValue('') == ''",
            "size(subject) == 3",
            "!subject.exists(name, name.startsWith('cl'))",
            "[subject].all(one, !has(one.claims))",
        ],
    )
    def test_whose_claims_matter_may_be_more(self, expression: str) -> None:
        conditions = [{"name": "c", "expression": expression}]
        assert self.search(governed(allow(conditions=conditions))) == ([], True)

    @pytest.mark.parametrize(("hold", "incomplete"), [(False, True), (True, False)], ids=["earlier tokens", "a hold"])
    def test_whose_newer_tokens_are_not_refused_may_be_more(self, hold: bool, incomplete: bool) -> None:
        on = identified(allow(subjects=["a", "b"]), subjects=[account("a"), account("b")])
        held = Revocations()
        held.put(PartyRevocation("r", CLUSTER, (("sub", username("a")),), NOW + 60, hold, NOW, NOW + 3600))
        asked = replace(EXPORT, subject=ANYBODY)
        around = replace(AROUND, revocations=held)
        assert found(on, SearchKind.SUBJECT, asked, around) == ([username("b")], incomplete)

    def test_of_another_type_are_none(self) -> None:
        assert self.search(governed(allow()), replace(ANYBODY, type="spaceship")) == ([], False)
        assert self.search(governed(allow()), SOMEONE) == ([], False)

    def test_are_people_of_the_issuers_that_the_endpoint_accepts(self) -> None:
        on = identified(
            allow(subjects=["carol", "eve", "crew"]),
            subjects=[person("carol"), {"name": "eve", "user": {"issuer": "foe", "name": "eve"}}, group("crew")],
            issuers=["corp"],
        )
        assert self.search(on, SOMEONE) == (["carol"], True)
        assert self.search(on) == ([], False)

    def test_are_not_people_whom_a_group_may_take_it_from(self) -> None:
        on = identified(
            allow(subjects=["carol"]),
            rule("never", effect="Deny", subjects=["crew"], actions=["*"]),
            subjects=[person("carol"), group("crew")],
            issuers=["corp"],
        )
        assert self.search(on, SOMEONE) == ([], True)

    def test_are_entities_where_the_enforcers_word_is_taken(self) -> None:
        entity = {"name": "e", "entity": {"type": "user", "ids": ["bob", "alice"]}}
        on = identified(allow(subjects=["e", "a"]), subjects=[entity, account("a")], verification="Asserted")
        assert self.search(on, SOMEONE) == (["alice", "bob"], False)
        assert self.search(on) == ([username("a")], False)

    def test_are_no_people_whose_names_are_the_clusters_to_give(self) -> None:
        one = {"name": "one", "user": {"issuer": "corp", "name": "system:masters"}}
        on = identified(allow(subjects=["carol", "one"]), subjects=[person("carol"), one], issuers=["corp"])
        assert self.search(on, SOMEONE) == (["carol"], False)
        entity = {"name": "e", "entity": {"type": "user", "ids": ["bob", AGENT]}}
        on = identified(allow(subjects=["e"]), subjects=[entity], verification="Asserted")
        assert self.search(on, SOMEONE) == (["bob"], False)

    def test_are_not_entities_where_a_token_is_asked_for(self) -> None:
        entity = {"name": "e", "entity": {"type": "user", "ids": ["alice"]}}
        on = identified(allow(subjects=["e"]), subjects=[entity], issuers=["corp"])
        assert self.search(on, SOMEONE) == ([], False)

    def test_have_the_properties_that_the_search_gives(self) -> None:
        on = governed(allow(conditions=[{"name": "c", "expression": "subject.properties.team == 'a'"}]))
        assert self.search(on, replace(ANYBODY, properties={"team": "a"})) == ([AGENT], False)
        assert self.search(on, replace(ANYBODY, properties={"team": "b"})) == ([], False)


class TestNamesThatRulesOfOneKindGive:
    """Beside the law in tests/property/decisions/test_search_likeness.py: what no policy that is accepted can hold."""

    LISTED: Final = tuple(f"a.{number}" for number in range(12))

    @pytest.mark.parametrize("odd", ["a.\0", "a.\ud800", "a." + "x" * 4_000])
    @pytest.mark.parametrize("expression", ["context.n == 1", "context.l.all(one, one == 'y')"])
    def test_are_decided_one_by_one_where_conditions_take_one_otherwise(self, odd: str, expression: str) -> None:
        conditions = [{"name": "c", "expression": expression}]
        rules = [rule(f"r{number}", actions=[name], conditions=conditions) for number, name in enumerate(self.LISTED)]
        on = governed(*rules)
        endpoint = on.endpoints[NAMESPACE, ENDPOINT]
        (first, *others) = endpoint.rules
        renamed = dataclasses.replace(first, actions=NameSet.of([odd]))
        made = CompiledEndpoint.of(
            [dataclasses.replace(POLICY, settings=endpoint.settings, rules=(renamed, *others))], ()
        )
        call = replace(CALL, context={"n": 1, "l": ["y"]})
        on = Snapshot({(NAMESPACE, ENDPOINT): made})
        listed = candidates(made, SearchKind.ACTION, call, NOW)
        assert odd in listed.names
        prospects = Prospects(on, made, SearchKind.ACTION, call, listed, AROUND)
        for name in listed.names:
            allowed = decide(on, replace(call, action=Action(name)), (), AROUND).outcome is Outcome.ALLOW
            assert (prospects.prospect(name) is Prospect.ALLOWED) is allowed
        assert (prospects.prospect(odd) is Prospect.ALLOWED) is (odd != "a.\0")

    def test_are_decided_about_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        decided: list[str] = []

        def counted(*arguments: Any, **more: Any) -> Verdict:  # noqa: ANN401 - as the original
            decided.append(arguments[1].action.name)
            return decide(*arguments, **more)

        monkeypatch.setattr(search, "decide", counted)
        on = governed(*(rule(f"r{number}", actions=[name]) for number, name in enumerate(self.LISTED)))
        endpoint = on.endpoints[NAMESPACE, ENDPOINT]
        listed = candidates(endpoint, SearchKind.ACTION, CALL, NOW)
        prospects = Prospects(on, endpoint, SearchKind.ACTION, CALL, listed, AROUND)
        assert [prospects.prospect(name) for name in listed.names] == [Prospect.ALLOWED] * len(self.LISTED)
        assert len(decided) == 1

    def test_are_decided_one_by_one_where_a_ceiling_asks_for_the_name(self) -> None:
        ceiling = {
            "actions": ["*"],
            "resources": [{"type": "customer", "ids": ["*"]}],
            "conditions": [{"name": "c", "expression": "action.name != 'a.3'"}],
        }
        delegation = {"maxDepth": 1, "principals": ["carol"], "ceiling": [ceiling]}
        carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
        subjects = [subject(), {"name": "carol", "user": {"issuer": "corp", "name": "carol"}}]
        rules = [rule(f"r{number}", actions=[name]) for number, name in enumerate(self.LISTED)]
        on = snapshot(stored("p", *rules, subjects=subjects, endpointSettings=carried))
        carol = Party("user", "carol", "corp#carol", issuer="corp")
        assert isinstance(CALL.subject, Party)
        call = replace(CALL, subject=carol, actors=(CALL.subject,))
        endpoint = on.endpoints[NAMESPACE, ENDPOINT]
        listed = candidates(endpoint, SearchKind.ACTION, call, NOW)
        prospects = Prospects(on, endpoint, SearchKind.ACTION, call, listed, AROUND)
        found = {name for name in listed.names if prospects.prospect(name) is Prospect.ALLOWED}
        assert found == set(self.LISTED) - {"a.3"}
