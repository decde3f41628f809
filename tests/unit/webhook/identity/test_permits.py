"""What a caller may see is asked of the API server, and a doubt is a no."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
import structlog

from bailiwick_engine.call import ServiceAccount
from bailiwick_webhook.cluster.client import ClusterUnavailableError
from bailiwick_webhook.identity.permits import FRESH, Permits

CALLER: Final = ServiceAccount("system:serviceaccount:crm:crm-api", "uid")


class Authorizer:
    def __init__(self) -> None:
        self.allows = True
        self.reachable = True
        self.asked: list[Mapping[str, Any]] = []
        self.time = 0.0

    async def review_access(self, spec: Mapping[str, Any]) -> bool:
        self.asked.append(spec)
        if not self.reachable:
            raise ClusterUnavailableError("no answer")
        return self.allows


@pytest.fixture
def authorizer() -> Authorizer:
    return Authorizer()


@pytest.fixture
def permits(authorizer: Authorizer) -> Permits:
    return Permits(authorizer, lambda: authorizer.time)  # type: ignore[arg-type]  # what it asks of a cluster


class TestAPermit:
    async def test_is_kept_for_a_while_and_then_asked_for_again(self, permits: Permits, authorizer: Authorizer) -> None:
        assert await permits.may_get_policies(CALLER, "crm")
        authorizer.allows, authorizer.time = False, FRESH
        assert await permits.may_get_policies(CALLER, "crm")
        authorizer.time = FRESH + 0.1
        assert not await permits.may_get_policies(CALLER, "crm")
        assert len(authorizer.asked) == 2

    async def test_is_of_one_caller_and_namespace(self, permits: Permits, authorizer: Authorizer) -> None:
        for caller in (CALLER, ServiceAccount(CALLER.username, "another uid")):
            for namespace in ("crm", "shop"):
                await permits.may_get_policies(caller, namespace)
        assert len(authorizer.asked) == 4

    async def test_is_refused_to_whoever_is_no_service_account(self, permits: Permits, authorizer: Authorizer) -> None:
        assert not await permits.may_get_policies(ServiceAccount("oidc:carol", "uid"), "crm")
        assert authorizer.asked == []

    async def test_is_asked_for_with_the_groups_of_the_account(self, permits: Permits, authorizer: Authorizer) -> None:
        await permits.may_get_policies(CALLER, "shop")
        groups = ["system:serviceaccounts", "system:serviceaccounts:crm", "system:authenticated"]
        assert authorizer.asked[0]["groups"] == groups

    async def test_is_refused_while_nobody_can_be_asked(self, permits: Permits, authorizer: Authorizer) -> None:
        authorizer.reachable = False
        assert not await permits.may_get_policies(CALLER, "crm")
        authorizer.reachable = True
        assert await permits.may_get_policies(CALLER, "crm")

    async def test_that_nobody_can_be_asked_for_is_logged_once_and_not_for_each_call(
        self, permits: Permits, authorizer: Authorizer
    ) -> None:
        authorizer.reachable = False
        with structlog.testing.capture_logs() as written:
            for _ in range(20):
                await permits.may_get_policies(CALLER, "crm")
        assert len(written) <= 1
