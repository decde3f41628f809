"""A subject is taken back while no operator runs, until after the end of it: its grants of before still end."""

from datetime import UTC, datetime, timedelta

import pytest

from bailiwick_kube.paths import revocations_path
from cluster.operator.grants.grants import Grants
from cluster.operator.operatorprocess import Operator
from localcluster.people import ADMIN
from support.installation import accepted
from support.objects import AGENT
from support.revocations import manifest
from support.waits import until


@pytest.mark.invariant(13)
@pytest.mark.invariant(32)
def test_grants_that_an_operator_could_not_end_in_time_end_before_the_object_goes(
    operator: Operator, grants: Grants
) -> None:
    living, waiting = grants.approved(), grants.open()
    assert operator.stop() == 0
    now = datetime.now(UTC)
    body = manifest(before=now + timedelta(seconds=1), until=now + timedelta(seconds=2), by=ADMIN, sub=AGENT)
    path = revocations_path(accepted(grants.admin.create(body, revocations_path()))["metadata"]["name"])
    until(lambda: datetime.now(UTC) > now + timedelta(seconds=3), "its time is over")
    operator.start().await_leading()
    until(lambda: grants.admin.get(path).status == 404, "the operator deletes the object")
    # By then, and not later.
    assert (grants.phase(living), grants.phase(waiting)) == ("Revoked", "Withdrawn")
