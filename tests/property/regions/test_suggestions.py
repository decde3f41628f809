"""What is suggested lets no call of a small world further, and turns no recorded decision; nor does any part of it.

Holds: neither `compare` nor a replay is asked here: the engine decides every call of the world, and every call that was
recorded, by the policy as it is and as it would be.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from hypothesis import event, given, settings, strategies as st
from msgspec.structs import replace

from bailiwick_api.documents import policyfiles
from bailiwick_api.kinds.meta import API_VERSION
from bailiwick_engine.call import Action, Call, Resource
from bailiwick_engine.circumstances import Circumstances
from bailiwick_engine.decision.decide import decide
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_evidence.replay.outcomes import policy_verdict
from bailiwick_governance.errors import UserError
from bailiwick_governance.suggestion.operations import apply
from bailiwick_governance.suggestion.proposals import Proposal, patch
from bailiwick_governance.suggestion.report import SuggestionReport, SuggestionRequest, report_on
from bailiwick_governance.suggestion.unusedrules import UnusedRules
from property.regions.test_diffs import (
    ACCOUNTS,
    ACTIONS,
    IDS,
    KINDS,
    PEOPLE,
    PROPERTIES,
    approvals,
    compiled,
    exhausted,
    policies,
)
from property.worlds.strategies import mostly
from support.decisions import CRM_CALL, decided
from support.evidence.logs import BEGAN as WRITTEN, ProcessLog
from unit.engine.cases import ENFORCER, NAMESPACE, NOW

Object = dict[str, Any]
QUARTER: Final = 21_600.0
# Half of a month, of which the last day counts for nothing.
BEGAN: Final = NOW - 60 * QUARTER
MORE_IDS: Final = (*IDS, *(f"p/{number}" for number in range(3, 9)))
CONTEXTS: Final = st.fixed_dictionaries(
    {},
    optional={
        "n": st.sampled_from([1, 2, 3, 2.5, "x"]),
        "a": st.sampled_from([[], [1, 2]]),
        "b": st.sampled_from(["x", "y"]),
        "intent": st.sampled_from(["support", "sales"]),
    },
)


@st.composite
def crossed(draw: st.DrawFn) -> Object:
    """Draw a policy, every other time with a gate before what its first rule gives, or a part of that."""
    policy = draw(policies())
    first = policy["spec"]["rules"][0]
    if draw(st.booleans()):
        action = draw(st.sampled_from([first["actions"], ["a.x"], ["a.*"]]))
        shared = {member: first[member] for member in ("subjects", "resources")}
        gate = {"name": "gate", "effect": "RequireApproval", "actions": action, "approval": draw(approvals())}
        policy["spec"]["rules"].append({**shared, **gate})
    return policy


@st.composite
def calls(draw: st.DrawFn, policy: Object) -> Call:
    """Draw a call, mostly one of which a rule of the policy speaks, and now and then on behalf of somebody."""
    rule = draw(st.sampled_from(compiled(policy).rules))
    (entry,) = rule.resources
    aimed = draw(mostly(True, False))
    parties = [one for one in (*ACCOUNTS, *PEOPLE) if not aimed or not one.keys.isdisjoint(rule.subjects)]
    subject = draw(st.sampled_from(parties))
    return replace(
        CRM_CALL,
        namespace=NAMESPACE,
        endpoint="api",
        caller=replace(CRM_CALL.caller, username=ENFORCER.username),
        subject=subject,
        actors=ACCOUNTS[:1] if subject in PEOPLE and draw(mostly(False, True)) else (),
        action=Action(draw(st.sampled_from([one for one in ACTIONS if not aimed or one in rule.actions]))),
        resource=Resource(
            entry.type if aimed else draw(st.sampled_from(KINDS)),
            draw(st.sampled_from([one for one in MORE_IDS if not aimed or one in entry.ids])),
            draw(st.sampled_from(PROPERTIES)),
        ),
        context=draw(CONTEXTS),
    )


def filed(policy: Object) -> Object:
    """Return a policy as a file has it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "EndpointPolicy",
        "metadata": {"namespace": NAMESPACE, "name": policy["metadata"]["name"]},
        "spec": policy["spec"],
    }


def reported(policy: Object, log: ProcessLog, unused: UnusedRules | None) -> SuggestionReport | None:
    """Return what is suggested by a log; None where it says nothing of the policy."""

    def reading(_: str) -> tuple[LogAudit, Iterable[ChainLine]]:
        audit = LogAudit(WitnessBook(()))

        def lines() -> Iterable[ChainLine]:
            for line in log.lines:
                yield from audit.feed(line)
            yield from audit.end()
            yield from audit.finish()

        return audit, lines()

    file = policyfiles.policy_file(json.dumps(filed(policy)).encode())
    approvers = ["owners"] if unused is UnusedRules.APPROVAL else []
    try:
        return report_on(SuggestionRequest([("policy.yaml", file)], None, BEGAN, unused, approvers), reading)
    except UserError as error:
        if "there is nothing to narrow" not in str(error):
            raise
        return None


def with_some(policy: Object, proposals: Sequence[Proposal]) -> Object:
    """Return the policy as some of the proposals would make it."""
    return {**policy, "spec": apply(policy["spec"], patch(proposals))}


@settings(max_examples=2 * settings().max_examples)
@given(crossed(), st.sampled_from([None, *UnusedRules]), st.data())
def test_a_suggestion_lets_no_call_further_and_turns_no_recorded_decision(
    policy: Object, unused: UnusedRules | None, data: st.DataObject
) -> None:
    some = data.draw(st.lists(calls(policy), min_size=2, max_size=9))
    # Each for half a day or more, so that the day that does not count mostly has nothing new.
    made = [some[number % len(some)] for number in range(62)]
    if data.draw(st.booleans()):
        last = data.draw(st.sampled_from(some))
        made[-1] = replace(last, resource=replace(last.resource, id="p/9"))
    log = decided([policy], made, log=_log(), began=BEGAN, every=QUARTER)
    report = reported(policy, log, unused)
    if report is None:
        return
    event(f"{min(len(report.proposals), 3)} suggestions, {min(len(report.left_out), 3)} left out")
    for one in report.proposals:
        event(f"{one.part}")
    for left in report.left_out:
        event(f"left out: {left.why.partition(':')[0].rstrip('0123456789')}")
    if not report.proposals:
        return
    part = data.draw(st.lists(st.sampled_from(report.proposals), unique_by=id))
    for proposals in (report.proposals, part):
        narrower = with_some(policy, proposals)
        assert exhausted((policy, narrower)) <= {0, -1}, narrower
        before, after = (Snapshot.of([compiled(one)]) for one in (policy, narrower))
        for number, call in enumerate(made):
            around = Circumstances(BEGAN + number * QUARTER)
            sides = [policy_verdict(decide(side, call, (), around)) for side in (before, after)]
            assert sides[0] is sides[1], (call, narrower)


def _log() -> ProcessLog:
    opening: dict[str, Any] = dict(engine_versions())
    return ProcessLog(2, seconds=BEGAN - WRITTEN, **opening)
