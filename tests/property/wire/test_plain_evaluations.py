"""Evaluations and batches: what is read at a glance is what the strict parser reads, and it judges the rest."""

import contextlib
from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_webhook.http.authzen import evaluations, messages
from bailiwick_webhook.http.problems import ProblemError

# Mostly right, so that the parsers get far.
odd: Final = st.sampled_from([None, "", "x", 0, 1, True, False, [], ["x"], {}, {"a": 1}, 1.5])
long: Final = st.sampled_from(["x" * messages.MAX_NAME, "x" * (messages.MAX_NAME + 1)])
texts: Final = st.one_of(st.just("x"), st.just("y"), st.just("x"), odd, long)
objects: Final[st.SearchStrategy[Any]] = st.one_of(st.just({}), st.just({"env": "prod"}), st.just({}), odd)


def _some(members: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    """An object with most of these members, or something else."""
    right = st.fixed_dictionaries(members)
    return st.one_of(right, right, st.fixed_dictionaries({}, optional=members), odd)


subjects: Final = _some({"type": texts, "id": texts, "properties": objects})
actions: Final = _some({"name": texts, "properties": objects})
resources: Final = _some({"type": texts, "id": texts, "properties": objects})
contexts: Final = st.one_of(
    st.just({}),
    st.just({"tenant": 1}),
    st.fixed_dictionaries(
        {},
        optional={
            "evidence": _some({"subject_token": texts, "actor_token": texts}),
            "intent": texts,
            "args": objects,
            "business_justification": texts,
            "explain": st.one_of(st.booleans(), odd),
            "dry_run": st.one_of(st.booleans(), odd),
            "approval": _some({"id": texts, "state": texts, "approved_at": texts, "approved_until": texts}),
            "tenant": odd,
        },
    ),
    odd,
)
MEMBERS: Final = {"subject": subjects, "action": actions, "resource": resources, "context": contexts}
bodies: Final = st.one_of(
    st.fixed_dictionaries(MEMBERS), st.fixed_dictionaries(MEMBERS), st.fixed_dictionaries({}, optional=MEMBERS)
)


def _told(problem: ProblemError) -> tuple[Any, ...]:
    return problem.status, problem.detail, problem.where


def read(parse: Any, body: dict[str, Any]) -> Any:  # noqa: ANN401 - an evaluation, a batch or a problem as it is told
    try:
        return _comparable(parse(body))
    except ProblemError as problem:
        return _told(problem)


def _comparable(found: Any) -> Any:  # noqa: ANN401 - likewise
    if isinstance(found, evaluations.Batch):
        return [_told(item) if isinstance(item, ProblemError) else _comparable(item) for item in found.items]
    # With types: in Python True is 1.
    return repr(found)


@given(bodies)
def test_a_body_that_is_no_evaluation_has_a_fault_that_is_named(body: dict[str, Any]) -> None:
    with contextlib.suppress(ProblemError):
        messages.parse(body)
        return
    problem = messages.problem_of(body)
    assert problem.where
    assert problem.status == 400


@given(bodies, st.lists(st.one_of(bodies, st.fixed_dictionaries({}, optional=MEMBERS), odd), max_size=4))
def test_a_batch_is_read_alike_at_a_glance_and_strictly(body: dict[str, Any], items: list[Any]) -> None:
    whole = {**body, "evaluations": items}
    found = read(evaluations.parse, whole)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(evaluations, "_plainly", lambda *_: None)
        assert found == read(evaluations.parse, whole)


def test_what_bodies_are_like_every_day_is_read_at_a_glance() -> None:
    subject, action = {"type": "user", "id": "x"}, {"name": "x"}
    context = {"evidence": {"subject_token": "x"}, "intent": "x", "explain": True, "args": {}, "tenant": {"id": 7}}
    said = messages.parse_defaults(subject, context)
    assert said is not None
    assert messages.parse_call(said, action, {"type": "x", "id": "x", "properties": {"a": 1}}) is not None
