"""Acting for somebody: why a chain is refused, and what each hop must pass."""

from dataclasses import dataclass, field
from typing import Final

import pytest
from msgspec.structs import replace

from bailiwick_engine.approval.gates import MAX_RULES
from bailiwick_engine.call import Action, Call, Party, Resource
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_engine.reasons import Reason
from support.objects import AGENT, Object, gated_rule, rule, settings, subject
from unit.engine.cases import CALL, snapshot, stored, verdict_of

HELPER: Final = "system:serviceaccount:agents:helper"
CAROL: Final = Party("user", "carol", "corp#carol", issuer="corp", username="carol@corp.example")
DAVE: Final = Party("user", "dave", "corp#dave", issuer="corp", username="dave@corp.example")
UNMAPPED: Final = Party("user", "carol", "corp#carol", issuer="corp")
ACTING: Final = Party("serviceAccount", AGENT, "agent-uid")
HELPING: Final = Party("serviceAccount", HELPER, "helper-uid")
BROKER: Final = Party("user", "broker", "corp#broker", issuer="corp")

EXPORT: Final = rule("export", actions=["customers.export"])
SUBJECTS: Final = [
    subject(),
    subject("helper", account="helper"),
    {"name": "carol", "user": {"issuer": "corp", "name": "carol"}},
    {"name": "broker", "user": {"issuer": "corp", "name": "broker"}},
]
ALL: Final[Object] = {"actions": ["*"], "resources": [{"type": "customer", "ids": ["*"]}]}
IN_PROD: Final[Object] = {"resources": [{"type": "customer", "ids": ["*"], "properties": {"env": ["prod"]}}]}
ROBOT: Final = {"steps": [{"name": "robot", "kind": "System"}]}
OWNER_AND_ROBOT: Final = {"steps": [{"name": "owner", "kind": "Human"}, {"name": "robot", "kind": "System"}]}


def _if(expression: str) -> Object:
    return {"conditions": [{"name": "c", "expression": expression}]}


def _broken(about: Object) -> Object:
    return stored("broken", EXPORT, subjects=[about], variables="none")


@dataclass(frozen=True)
class ActorCase:
    """Somebody acts for somebody; by default the agent for carol, which is allowed."""

    name: str
    reason: Reason
    person: Party = CAROL
    actors: tuple[Party, ...] = (ACTING,)
    rules: tuple[Object, ...] = (EXPORT,)
    delegation: Object | None = field(default_factory=dict)
    ceiling: Object = field(default_factory=dict)
    resource: Resource = CALL.resource
    others: tuple[Object, ...] = ()
    hop: str | None = None

    @property
    def on(self) -> Snapshot:
        given = {"maxDepth": 1, "principals": ["carol"], "ceiling": [{**ALL, **self.ceiling}]}
        delegation = {} if self.delegation is None else {"delegation": {**given, **self.delegation}}
        carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, **delegation}
        return snapshot(stored("p", *self.rules, subjects=SUBJECTS, endpointSettings=carried), *self.others)

    @property
    def call(self) -> Call:
        return replace(CALL, subject=self.person, actors=self.actors, resource=self.resource)


TABLE: Final = [
    ActorCase("one who may", Reason.ALLOWED),
    ActorCase(
        "before more gates than an approval can name",
        Reason.MULTIPLE_GATES,
        rules=tuple(gated_rule(f"gate-{number}", approval=ROBOT) for number in range(MAX_RULES + 1)),
    ),
    ActorCase("nobody may act", Reason.DELEGATION_INVALID, delegation=None),
    ActorCase("for one who is no principal", Reason.DELEGATION_INVALID, person=DAVE),
    ActorCase("two where one may", Reason.DELEGATION_INVALID, actors=(ACTING, ACTING)),
    ActorCase("two where two may", Reason.ALLOWED, actors=(ACTING, ACTING), delegation={"maxDepth": 2}),
    ActorCase("another action than the ceiling's", Reason.SCOPE_EXCEEDED, ceiling={"actions": ["a"]}, hop=AGENT),
    ActorCase(
        "another resource than the ceiling's",
        Reason.SCOPE_EXCEEDED,
        ceiling={"resources": [{"type": "customer", "ids": ["43"]}]},
        hop=AGENT,
    ),
    ActorCase(
        "one of the resources of the ceiling",
        Reason.ALLOWED,
        ceiling={"resources": [{"type": "customer", "ids": ["43"]}, {"type": "customer", "ids": ["42"]}]},
    ),
    ActorCase("a property of the ceiling's that is absent", Reason.SCOPE_EXCEEDED, ceiling=IN_PROD, hop=AGENT),
    ActorCase(
        "a property of the ceiling's",
        Reason.ALLOWED,
        ceiling=IN_PROD,
        resource=Resource("customer", "42", {"env": "prod"}),
    ),
    ActorCase("a condition of the ceiling's that holds", Reason.ALLOWED, ceiling=_if("subject.id == 'carol'")),
    ActorCase(
        "a condition of the ceiling's that does not hold",
        Reason.SCOPE_EXCEEDED,
        ceiling=_if("subject.id == 'dave'"),
        hop=AGENT,
    ),
    ActorCase(
        "a condition of the ceiling's that cannot be told",
        Reason.SCOPE_EXCEEDED,
        ceiling=_if("context.none == 1"),
        hop=AGENT,
    ),
    ActorCase(
        "an actor whom no rule lets through",
        Reason.NO_RULE,
        actors=(ACTING, HELPING),
        delegation={"maxDepth": 2},
        hop=HELPER,
    ),
    ActorCase(
        "an actor whom an Audit policy would let through",
        Reason.NO_RULE,
        actors=(HELPING,),
        others=(stored("audit", {**EXPORT, "subjects": ["helper"]}, subjects=SUBJECTS, mode="Audit"),),
        hop=HELPER,
    ),
    ActorCase(
        "an actor whom a rule denies",
        Reason.POLICY_DENIED,
        rules=(EXPORT, rule("no", effect="Deny", actions=["*"])),
        hop=AGENT,
    ),
    ActorCase(
        "a person whom a rule denies",
        Reason.POLICY_DENIED,
        rules=(EXPORT, rule("no", effect="Deny", subjects=["carol"], actions=["*"])),
        hop="carol",
    ),
    ActorCase(
        "a person who must be entitled and is not",
        Reason.NO_RULE,
        delegation={"principalMustBeEntitled": True},
        hop="carol",
    ),
    ActorCase(
        "a person who must be entitled and is",
        Reason.ALLOWED,
        rules=(rule("export", actions=["customers.export"], subjects=["agent", "carol"]),),
        delegation={"principalMustBeEntitled": True},
    ),
    ActorCase(
        "a person whose own gate stands",
        Reason.APPROVAL_REQUIRED,
        rules=(EXPORT, gated_rule("gated", subjects=["carol"])),
    ),
    ActorCase("a policy about the person is broken", Reason.POLICY_INVALID, others=(_broken(SUBJECTS[2]),)),
    ActorCase("a policy about the actor is broken", Reason.POLICY_INVALID, others=(_broken(SUBJECTS[0]),)),
    ActorCase("a policy about nobody of the chain is broken", Reason.ALLOWED, others=(_broken(SUBJECTS[1]),)),
    ActorCase(
        "a person of whom no reviewer could be told apart",
        Reason.APPROVAL_UNVERIFIABLE,
        person=UNMAPPED,
        rules=(gated_rule(),),
    ),
    ActorCase(
        "the same where people and systems are asked",
        Reason.APPROVAL_UNVERIFIABLE,
        person=UNMAPPED,
        rules=(gated_rule(approval=OWNER_AND_ROBOT),),
    ),
    ActorCase(
        "the same where no people are asked",
        Reason.APPROVAL_REQUIRED,
        person=UNMAPPED,
        rules=(gated_rule(approval=ROBOT),),
    ),
    ActorCase(
        "an actor of whom no reviewer could be told apart",
        Reason.APPROVAL_UNVERIFIABLE,
        actors=(BROKER,),
        rules=(gated_rule(subjects=["broker"]),),
    ),
]


@pytest.mark.parametrize("case", TABLE, ids=[case.name for case in TABLE])
def test_a_chain_passes_only_where_every_hop_does(case: ActorCase) -> None:
    verdict = verdict_of(case.on, case.call)
    assert (verdict.reason, verdict.hop) == (case.reason, case.hop)


def test_a_call_of_ones_own_names_no_hop() -> None:
    verdict = verdict_of(TABLE[0].on, replace(CALL, action=Action("customers.delete")))
    assert (verdict.reason, verdict.hop) == (Reason.NO_RULE, None)


def test_a_call_of_ones_own_is_told_what_it_lacks_where_others_may_act_too() -> None:
    given = ActorCase("own", Reason.CONDITION_FALSE, rules=({**EXPORT, **_if("subject.id == 'nobody'")},))
    verdict = verdict_of(given.on, CALL)
    assert verdict.rule is not None
    assert (verdict.reason, verdict.rule.name, verdict.hop) == (Reason.CONDITION_FALSE, "export", None)


def chain(*rules: Object, entitled: bool = True) -> Snapshot:
    """Return an endpoint of these rules where a chain of two may act for carol."""
    delegation = {"maxDepth": 2, "principals": ["carol"], "ceiling": [ALL], "principalMustBeEntitled": entitled}
    carried = {**settings(), "identity": {"issuers": ["cluster", "corp"]}, "delegation": delegation}
    return snapshot(stored("p", *rules, subjects=SUBJECTS, endpointSettings=carried))


def test_of_several_hops_that_do_not_pass_the_first_is_told() -> None:
    call = replace(CALL, subject=CAROL, actors=(ACTING, HELPING))
    on = chain(rule("other", actions=["other"], subjects=["agent", "helper"]))
    assert verdict_of(on, call).hop == AGENT
    passing = chain(rule("own", actions=["customers.export"]), rule("other", actions=["other"], subjects=["helper"]))
    assert verdict_of(passing, call).hop == HELPER


def test_of_several_rules_that_allow_the_first_by_its_place_is_told() -> None:
    call = replace(CALL, subject=CAROL, actors=(ACTING,))
    rules = [rule("z", actions=["customers.export"]), rule("a", actions=["customers.export"], subjects=["carol"])]
    verdict = verdict_of(chain(*rules), call)
    assert verdict.rule is not None
    assert (verdict.reason, verdict.rule.name) == (Reason.ALLOWED, "a")
