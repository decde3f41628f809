"""Tokens of service accounts before a real API server: what never reaches it, and what it said before an outage."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bailiwick_api.accounts import ENFORCER_AUDIENCE
from bailiwick_webhook.identity.tokens import FRESH
from demo.stack import DecisionPoint
from localcluster.process import stop
from support.faultkinds import Exchange, status
from support.faultproxy import FaultProxy
from support.objects import rule
from support.pdp import badtokens, questions
from support.pdp.processes import Bailiwick
from support.pdp.tenant import RULES, Tenant
from support.waits import until

pytestmark = pytest.mark.long

REVIEWS = "tokenreviews"


@pytest.fixture(scope="module")
def proxy(pdp: Bailiwick, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    with FaultProxy(pdp.cluster, tmp_path_factory.mktemp("proxy")) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def point(pdp: Bailiwick, proxy: FaultProxy) -> Iterator[DecisionPoint]:
    point = pdp.start_point(proxy=proxy)
    yield point
    # Before the proxy that it is connected to.
    stop([point.process.id])


@pytest.fixture(scope="module")
def tenant(pdp: Bailiwick, point: DecisionPoint) -> Iterator[Tenant]:
    tenants = pdp.tenants(point)
    yield tenants.make("verifying", [*RULES, rule("ping", actions=["customers.ping"])])
    tenants.namespaces.clean()


@pytest.fixture(autouse=True)
def cleared(proxy: FaultProxy) -> Iterator[None]:
    yield
    proxy.clear()


async def through(exchange: Exchange) -> None:
    await exchange.deliver(await exchange.forward())


def test_the_clusters_keys_are_read_as_its_own_account(point: DecisionPoint) -> None:
    # Read beside all that makes it ready, so perhaps a moment later.
    until(lambda: "issuer keys" in point.process.log.read_text(), "the keys are read")
    assert "not read" not in point.process.log.read_text()


def test_what_is_not_signed_by_the_cluster_never_reaches_it(pdp: Bailiwick, proxy: FaultProxy, tenant: Tenant) -> None:
    if pdp.plane is None:
        pytest.skip("the signing key of this cluster is not ours")
    key: Path = pdp.plane.folder / "pki" / "service-accounts.key"
    good = tenant.token("agent", tenant.audience)
    assert tenant.ask("customers.ping").decision is True
    reviews = proxy.on("POST", REVIEWS, through, times=None)
    for token in (
        badtokens.tampered(good, sub=tenant.account("stranger")),
        badtokens.unsigned(good),
        badtokens.ended(key, good),
        badtokens.signed(key, good, iss="https://elsewhere"),
        badtokens.signed(key, good, aud=["elsewhere"]),
        badtokens.signed(key, good, cnf={"jkt": "x"}),
    ):
        body = questions.evaluation(tenant.agent, "customers.ping", token=token)
        assert questions.post(tenant.url(), body, tenant.pep).decision is False
        assert questions.post(tenant.url(), body, token).status == 401
    assert reviews.seen == 0
    # The first that is the cluster's own is asked about.
    again = badtokens.signed(key, good, jti="another")
    assert questions.post(
        tenant.url(), questions.evaluation(tenant.agent, "customers.ping", token=again), tenant.pep
    ).decision
    assert reviews.seen == 1


def test_in_an_outage_known_tokens_decide_and_use_no_grant_and_new_ones_prove_nothing(
    proxy: FaultProxy, tenant: Tenant
) -> None:
    name = tenant.approved("customers.export", "outage")
    unused = tenant.cluster.service_account_token(tenant.namespace, "agent", [tenant.audience], 3000)
    stranger = tenant.cluster.service_account_token(tenant.namespace, "api", [ENFORCER_AUDIENCE], 3000)
    assert tenant.ask("customers.ping").decision is True
    proxy.on("POST", REVIEWS, status(503), times=None)
    body = questions.evaluation(tenant.agent, "customers.ping", token=unused)
    assert questions.post(tenant.url(), body, tenant.pep).reason == "identity_unverifiable"
    assert questions.post(tenant.url(), tenant.body("customers.ping"), stranger).status == 503
    time.sleep(FRESH + 0.5)
    assert tenant.ask("customers.ping").decision is True
    assert tenant.ask("customers.export", "outage").reason == "store_stale"
    assert tenant.uses(name) == 0
    proxy.clear()
    # A call that comes before the API server has answered anything again is still decided as in the outage.
    until(lambda: tenant.ask("customers.export", "outage").decision, "grants are used again", 10)
    assert tenant.uses(name) == 1
