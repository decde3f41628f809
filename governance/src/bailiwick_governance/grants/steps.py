"""Which step a person reviews, and for which of its groups.

Holds: pure. It chooses what to send; whether that is allowed, the API server's guards say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bailiwick_api.serviceaccounts import SERVICE_ACCOUNT_PREFIX
from bailiwick_api.usernames import is_reserved
from bailiwick_governance.apiserver.people import CurrentUser
from bailiwick_governance.errors import UserError
from bailiwick_governance.grants.grantview import GrantStepView, GrantView


@dataclass(frozen=True, slots=True)
class StepChoice:
    """A step, and the group that it is reviewed for; None where the step names no groups."""

    step: GrantStepView
    group: str | None


def fits(step: GrantStepView, me: CurrentUser) -> bool:
    """Tell whether somebody is of the kind and of a group that a step takes."""
    kind = not is_reserved(me.username) if step.kind == "Human" else me.username.startswith(SERVICE_ACCOUNT_PREFIX)
    return kind and (not step.groups or not set(step.groups).isdisjoint(me.groups))


def reviewable(grant: GrantView, me: CurrentUser) -> list[GrantStepView]:
    """Return the steps that somebody could fill now: of their kind and groups, not met yet, and they have no part."""
    if grant.phase != "Pending" or grant.has_review_by(me.username) or grant.is_party(me.username):
        return []
    return [step for step in grant.steps if fits(step, me) and not step.met]


def choose(grant: GrantView, me: CurrentUser, step: str | None, group: str | None) -> StepChoice:
    """Return the step to review, by the flags or because it is the only one. Raises `UserError` where that is open."""
    if grant.has_review_by(me.username):
        raise UserError(
            f"{me.username} has already reviewed {grant.name}: each reviewer can review a request only once"
        )
    steps = grant.steps
    if step is not None:
        found = [one for one in steps if one.name == step] or [one for one in steps if one.name.endswith(f".{step}")]
        if len(found) != 1:
            raise UserError(
                f"--step: {step!r} matches {len(found) or 'none'} of the steps: they are {_join_names(steps)}"
            )
        return StepChoice(found[0], _group(found[0], me, group))
    fitting = [one for one in steps if fits(one, me) and (group is None or group in one.groups)]
    fitting = [one for one in fitting if not one.met] or fitting
    if len(fitting) > 1:
        raise UserError(f"you can review several steps; choose one with --step: {_join_names(fitting)}")
    if not fitting:
        if len(steps) > 1:
            raise UserError(f"{me.username} cannot review any of the steps: {_explain(steps)}")
        # The one step there is: let the guard say in its own words why not.
        fitting = steps
    return StepChoice(fitting[0], _group(fitting[0], me, group))


def _group(step: GrantStepView, me: CurrentUser, group: str | None) -> str | None:
    if group is not None:
        if group not in step.groups:
            raise UserError(f"--group: {step.name} accepts {', '.join(step.groups) or 'no group'}, not {group}")
        return group
    return group_of(step, me)


def group_of(step: GrantStepView, me: CurrentUser) -> str | None:
    """Return the group that a review of a step is recorded for where none is given; None where it names none."""
    own = [one for one in step.groups if one in me.groups]
    return next(iter(own or step.groups), None)


def _join_names(steps: Sequence[GrantStepView]) -> str:
    return ", ".join(step.name for step in steps)


def _explain(steps: Sequence[GrantStepView]) -> str:
    return "; ".join(
        f"{step.name} requires a {step.kind} in {' or '.join(step.groups) or 'any group'}" for step in steps
    )
