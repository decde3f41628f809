"""Who may write a revocation: signals the operator alone, and people in their own name; none can outlast its time."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from bailiwick_api.accounts import Installation
from bailiwick_api.manifests.revocationguards import (
    AS_OF_IS_NOT_AHEAD,
    BY_NAMES_AUTHOR,
    NOTHING_KEEPS_IT,
    SIGNALS_ARE_THE_OPERATORS,
)
from bailiwick_kube.paths import revocations_path
from localcluster.people import ADMIN
from localcluster.rest import Answer
from support.callers import Callers
from support.guards.open_cases import OWNER
from support.installation import accepted
from support.objects import Object, changed, stamp
from support.revocations import manifest
from support.waits import until

MALLORY: Final = "mallory"
SIGNAL: Final = {"kind": "Signal", "event": "account-disabled", "jti": "j1"}
ROLES: Final = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


@pytest.fixture(scope="module", autouse=True)
def may_take_back(callers: Callers, installed: Installation) -> Iterator[None]:
    """Mallory may create revocations, and nothing else."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "mallory-takes-back"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "bailiwick-take-back"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": MALLORY}],
    }
    accepted(callers.admin.create(binding, ROLES))
    forged = body_of(spec_cause=SIGNAL)
    until(lambda: create(callers, MALLORY, forged).message.endswith(SIGNALS_ARE_THE_OPERATORS), "the guard is in force")
    yield
    callers.admin.delete(f"{ROLES}/mallory-takes-back")


def create(callers: Callers, who: str, body: Object) -> Answer:
    """Ask the API server to create a revocation, and delete it again if it did."""
    answer = callers(who).create(body, revocations_path())
    if answer.status == 201:
        callers.admin.delete(revocations_path(body["metadata"]["name"]))
    return answer


def refusal(answer: Answer) -> str:
    """Return what the guard answered; empty where it let the request through."""
    assert answer.status in {201, 403, 422}, answer.message
    return answer.message.partition("denied request: ")[2] or answer.message


def body_of(by: str = MALLORY, **fields: Any) -> Object:  # noqa: ANN401 - fields by their paths, with _ for dots
    body = manifest("corp", by=by, sub=f"dave-{secrets.token_hex(4)}")
    for path, value in fields.items():
        body = changed(body, path.replace("_", "."), value)
    return body


def test_the_holder_of_take_back_writes_in_their_own_name(callers: Callers) -> None:
    assert refusal(create(callers, MALLORY, body_of())) == ""
    assert refusal(create(callers, MALLORY, body_of("oidc:olivia"))) == f"{BY_NAMES_AUTHOR}: {MALLORY}"
    assert refusal(create(callers, ADMIN, body_of())) == f"{BY_NAMES_AUTHOR}: {ADMIN}"


@pytest.mark.parametrize("who", [MALLORY, ADMIN])
@pytest.mark.parametrize("more", [{}, {"by": MALLORY}])
def test_only_the_operator_writes_what_a_signal_says(callers: Callers, who: str, more: dict[str, str]) -> None:
    forged = body_of(spec_cause=SIGNAL | more)
    assert refusal(create(callers, who, forged)) == SIGNALS_ARE_THE_OPERATORS


def test_the_operator_writes_what_a_signal_says(callers: Callers, installed: Installation) -> None:
    assert refusal(create(callers, installed.operator, body_of(spec_cause=SIGNAL))) == ""


@pytest.mark.parametrize(("seconds", "answer"), [(-3600, ""), (20, ""), (60, AS_OF_IS_NOT_AHEAD)])
def test_a_revocation_is_not_decided_in_the_future(callers: Callers, seconds: int, answer: str) -> None:
    ahead = datetime.now(UTC) + timedelta(seconds=seconds)
    assert refusal(create(callers, MALLORY, body_of(spec_asOf=stamp(ahead)))) == answer


@pytest.mark.parametrize("field", [{"ownerReferences": [OWNER]}, {"finalizers": ["bailiwick.dev/hold"]}])
def test_nothing_keeps_a_revocation_or_takes_it_along(callers: Callers, field: Object) -> None:
    body = body_of()
    body["metadata"] |= field
    assert refusal(create(callers, MALLORY, body)) == NOTHING_KEEPS_IT


def test_the_object_of_a_signal_is_changed_by_the_operator_alone(callers: Callers, installed: Installation) -> None:
    stored = accepted(callers(installed.operator).create(body_of(spec_cause=SIGNAL), revocations_path()))
    path = revocations_path(stored["metadata"]["name"])
    try:
        later = stamp(datetime.now(UTC) + timedelta(hours=1))
        lifted = changed(changed(stored, "spec.asOf", later), "spec.hold", True)
        assert refusal(callers.admin.replace(lifted)) == SIGNALS_ARE_THE_OPERATORS
        # What tools write that change no field of it.
        labelled = accepted(callers.admin.replace(changed(stored, "metadata.labels", {"team": "crm"})))
        accepted(callers(installed.operator).replace(changed(labelled, "spec.asOf", later)))
    finally:
        callers.admin.delete(path)
