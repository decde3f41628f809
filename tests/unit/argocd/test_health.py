"""What Argo CD calls healthy: objects as they were live, and what must hold whatever the operator says."""

from typing import Any

import pytest
import yaml

import generate_argocd
from bailiwick_api.kinds.approvalgrant import TERMINAL_PHASES
from bailiwick_api.kinds.meta import GROUP
from support import health
from support.health import Case

KINDS = health.kinds()
CASES = health.cases()
READY: dict[str, Any] = {"type": "Ready", "status": "True", "reason": "Enforced", "message": "in force"}
ACCEPTED: dict[str, Any] = {"type": "Accepted", "status": "True", "reason": "Compiled", "message": "1 rule compiled"}


def live(observed: int | None = 1, *conditions: dict[str, Any], **status: object) -> dict[str, Any]:
    """Return an object of generation 1, with a status unless nothing was observed."""
    out: dict[str, Any] = {"metadata": {"name": "x", "namespace": "crm", "generation": 1}, "spec": {}}
    status |= {"observedGeneration": observed, "conditions": [*conditions]}
    return out if observed is None else {**out, "status": status}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_health_is_as_argo_cds_own_test_of_the_script_wants_it(case: Case) -> None:
    assert health.health(case.kind, case.object) == (case.status, case.message)


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_that_was_kept_is_in_a_test(kind: str) -> None:
    kept = {path.name for path in (health.CUSTOMIZATIONS / GROUP / kind / "testdata").iterdir()}
    assert kept == {case.path.name for case in CASES if case.kind == kind}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_is_tested_is_a_whole_object_as_the_server_had_it(case: Case) -> None:
    found = case.object
    assert (found["kind"], {"uid", "resourceVersion", "generation"} - found["metadata"].keys()) == (case.kind, set())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("observed", [None, 0, 2])
def test_nothing_is_said_of_a_generation_that_the_operator_has_not_looked_at(kind: str, observed: int | None) -> None:
    status, message = health.health(kind, live(observed, READY, ACCEPTED, phase="Active"))
    assert (status, message) == ("Progressing", "the operator has not looked at this generation yet")


@pytest.mark.parametrize("missing", ["Accepted", "Ready"])
def test_a_policy_of_which_half_is_told_is_in_progress(missing: str) -> None:
    told = [condition for condition in (READY, ACCEPTED) if condition["type"] != missing]
    assert health.health("EndpointPolicy", live(1, *told))[0] == "Progressing"


def test_a_reason_that_the_script_does_not_know_is_no_health() -> None:
    unknown = {**READY, "status": "False", "reason": "Unheard", "message": "of a later version"}
    assert health.health("EndpointPolicy", live(1, ACCEPTED, unknown)) == ("Degraded", "of a later version")


@pytest.mark.parametrize("phase", sorted(TERMINAL_PHASES))
def test_a_grant_that_ended_is_healthy_however_it_ended(phase: str) -> None:
    ready = {**READY, "status": "False", "reason": phase, "message": "ended"}
    assert health.health("ApprovalGrant", live(1, ready, phase=phase)) == ("Healthy", "ended")


def test_a_script_cannot_use_what_argo_cd_does_not_give_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "script", lambda _kind: "return {status = string.format('x'), message = ''}")
    with pytest.raises(Exception, match="string"):
        health.health("EndpointPolicy", live())


def test_what_administrators_apply_is_what_is_tested() -> None:
    assert generate_argocd.PATH.read_text(encoding="utf-8") == generate_argocd.rendered()
    data = yaml.safe_load(generate_argocd.rendered())["data"]
    assert data == {f"resource.customizations.health.{GROUP}_{kind}": health.script(kind) for kind in KINDS}
