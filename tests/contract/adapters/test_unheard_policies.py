"""What the two reviews of the API server are answered while a policy may speak that is not in force."""

import time
from typing import Any, Final

import pytest

from bailiwick_engine.circumstances import Freshness
from bailiwick_policystore.changes import EVERYWHERE
from bailiwick_policystore.endpoints import Place
from contract.adapters.test_kubernetes import NAMED, OPERATOR, access, admitting, asked, outcome, protecting, reason
from support.pdp.alone import Alone

ACCOUNT: Final = "system:serviceaccount:shop:other"
COMPONENT: Final = "system:kube-scheduler"


async def answers(alone: Alone, namespace: str, user: str, **more: Any) -> tuple[str | None, str | None]:  # noqa: ANN401 - as JSON
    """Return what admission says of a call, and what is said before RBAC of a Secret that is read."""
    said = {"namespace": namespace, "userInfo": {"username": user, "groups": []}}
    async with asked(alone, "/admission/enforce") as post:
        _, body = await post(admitting("UPDATE", "pods", **said, **more))
    status = body["response"].get("status")
    # What passes by itself comes again.
    assert status is None or status["code"] == (429 if outcome(body) in {"policy_outdated", "store_stale"} else 403)
    async with asked(alone, "/authorize") as post:
        _, answer = await post(access("get", "secrets", name="shut", namespace=namespace, user=user))
    return outcome(body), reason(answer["status"])


@pytest.mark.parametrize(
    ("place", "seconds", "namespace", "user", "admitted", "before"),
    [
        # The first policy of a namespace.
        (("new", "kubernetes"), 1, "new", "eve", None, None),
        (("new", "kubernetes"), 3, "new", "eve", "policy_outdated", "policy_outdated"),
        (("new", "kubernetes"), 3, "new", ACCOUNT, "policy_outdated", "policy_outdated"),
        (("new", "kubernetes"), 3, "new", "system:anonymous", "policy_outdated", "policy_outdated"),
        (("new", "kubernetes"), 3, "new", COMPONENT, "policy_outdated", None),
        (("new", "kubernetes"), 3, "new", OPERATOR, None, None),
        # One of which it cannot be read whose endpoint it is of, and a file of policies that cannot be read.
        (("new", None), 3, "new", "eve", "policy_outdated", "policy_outdated"),
        (EVERYWHERE, 3, "new", "eve", "policy_outdated", "policy_outdated"),
        (EVERYWHERE, 3, "", "eve", None, None),
        (EVERYWHERE, 3, "bailiwick-system", "eve", None, None),
        # Nothing that concerns the namespace.
        (("new", "crm-api"), 3, "new", "eve", None, None),
        (("shop", "kubernetes"), 3, "new", "eve", None, None),
        # An account that no policy names, and that the one that waits may name.
        (("shop", "kubernetes"), 1, "shop", ACCOUNT, "no_rule", None),
        (("shop", "kubernetes"), 3, "shop", ACCOUNT, "no_rule", "policy_outdated"),
        (("shop", "kubernetes"), 3, "shop", COMPONENT, "no_rule", None),
        (("shop", "kubernetes"), 3, "shop", NAMED, "no_rule", "no_rule"),
        (("shop", "kubernetes"), 3, "shop", "dave", "no_rule", "no_rule"),
    ],
)
async def test_a_policy_that_waits_for_too_long_protects_its_namespace(
    place: Place, seconds: float, namespace: str, user: str, admitted: str | None, before: str | None
) -> None:
    alone = Alone([protecting()])
    alone.store.waiting.set(("any", "policy"), [place], time.monotonic() - seconds)
    assert await answers(alone, namespace, user) == (admitted, before)


@pytest.mark.parametrize("unread", [True, False])
@pytest.mark.parametrize(
    ("namespace", "user", "admitted", "before"),
    [
        ("shop", "dave", "store_stale", "store_stale"),
        ("shop", ACCOUNT, "store_stale", "store_stale"),
        ("other", "eve", "store_stale", "store_stale"),
        ("other", ACCOUNT, "store_stale", "store_stale"),
        ("other", COMPONENT, "store_stale", None),
        ("other", OPERATOR, None, None),
        ("bailiwick-system", "eve", None, None),
        ("", "eve", None, None),
    ],
)
async def test_a_store_that_knows_nothing_protects_every_namespace(
    unread: bool, namespace: str, user: str, admitted: str | None, before: str | None
) -> None:
    alone = Alone([protecting()])
    if unread:
        alone.store.snapshot = None
    else:
        alone.store.freshness = Freshness.DEAD
    assert await answers(alone, namespace, user) == (admitted, before)


async def test_a_store_that_is_only_stale_leaves_other_namespaces_alone() -> None:
    alone = Alone([protecting()])
    alone.store.freshness = Freshness.STALE
    assert await answers(alone, "other", "eve") == (None, None)


async def test_a_dry_run_is_denied_likewise() -> None:
    alone = Alone([])
    alone.store.waiting.set(("any", "policy"), [("new", "kubernetes")], time.monotonic() - 3)
    assert await answers(alone, "new", "eve", dryRun=True) == ("policy_outdated", "policy_outdated")
