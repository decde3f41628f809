"""The use of policies in their status, over restarts of whoever counts and of whoever writes, and written seldom."""

from datetime import UTC, datetime

import pytest

from cluster.operator.operatorprocess import NewOperator
from cluster.operator.pdpprocess import ServesAll
from localcluster.rest import Rest
from support.callers import Callers
from support.installation import accepted
from support.objects import Object, policy, settings


def told(admin: Rest, body: Object, member: str, **wanted: object) -> Object:
    """Wait until the status says so of use, or of a candidate; return the object."""

    def holds(stored: Object) -> bool:
        found = stored.get("status", {}).get(member, {})
        return all(found.get(name) == value for name, value in wanted.items())

    return admin.wait(body, lambda answer: holds(answer.body), 40).body


@pytest.mark.long
def test_days_and_counts_outlive_who_counts_and_who_writes_and_are_written_once(
    new_operator: NewOperator, serving: ServesAll, callers: Callers, namespace: str
) -> None:
    admin = callers.admin
    live = accepted(admin.create(policy(namespace, endpointSettings=settings())))
    following = accepted(admin.create(policy(namespace, "next", mode="Audit", replaces="crm-agent")))
    today = int(datetime.now(UTC).timestamp() // 86_400)
    day = f"{datetime.fromtimestamp(today * 86_400, UTC):%Y-%m-%d}T00:00:00Z"
    with new_operator():
        first = told(admin, live, "usage", lastUsedTime=None)
        since = first["status"]["usage"]["observedSince"]
        assert first["status"]["usage"] == {"observedSince": since, "unusedSince": since}
        serving.used = {live["metadata"]["uid"]: today}
        serving.shadows = {following["metadata"]["uid"]: (1, 23, 4)}
        used = told(admin, live, "usage", lastUsedTime=day)
        assert used["status"]["usage"] == {"lastUsedTime": day, "observedSince": since}
        counted = told(admin, following, "shadow", compared=20, different=2)
    # Another life of the process, which remembers nothing, and other calls within ten minutes.
    serving.memory, serving.used, serving.shadows = "second", {}, {following["metadata"]["uid"]: (1, 900, 900)}
    with new_operator():
        other = accepted(admin.create(policy(namespace, "other", endpoint="other", endpointSettings=settings())))
        serving.used = {other["metadata"]["uid"]: today}
        told(admin, other, "usage", lastUsedTime=day)
        # That was a later round: by now the first two were looked at.
        for body in (used, counted):
            now = accepted(admin.get(body))
            assert now["status"].get("usage") == body["status"].get("usage")
            assert now["metadata"]["resourceVersion"] == body["metadata"]["resourceVersion"]
