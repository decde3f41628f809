"""The whole way of an approval by the SDK, on a real cluster: asked for, given by a person, used once."""

import threading
import time
from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick import ApprovalNeeded, AsyncBailiwick, Bailiwick, Call, Denied, Resource, Unavailable
from support.objects import ENDPOINT
from support.pdp.tenant import Tenant

pytestmark = pytest.mark.cluster

ARGS: Final = {"fields": ["name"]}


@pytest.fixture
def sdk(tenant: Tenant) -> Iterator[Bailiwick]:
    endpoint = f"{tenant.namespace}/{ENDPOINT}"
    with Bailiwick(tenant.points[0], endpoint=endpoint, token=lambda: tenant.pep, deadline=10.0) as client:
        yield client


def export(tenant: Tenant, customer: str) -> Call:
    token = tenant.token("agent", tenant.audience)
    return Call(token=token, action="customers.export", resource=Resource("customer", customer), args=ARGS)


def test_a_call_is_made_once_after_somebody_approved_it(sdk: Bailiwick, tenant: Tenant) -> None:
    call = export(tenant, "sdk-1")
    with pytest.raises(ApprovalNeeded) as needed:
        sdk.require(call)
    approval = sdk.request_approval(needed.value, reason="INC-1 please")
    assert approval.pending
    threading.Timer(0.5, tenant.approve, [approval.id.partition(".")[0]]).start()
    approved = sdk.wait(approval, until=time.time() + 60)
    assert approved.approved
    decision = sdk.require(call, approval=approved)
    assert decision.grant == approval.id
    assert decision.approved_until
    with pytest.raises(Denied):
        sdk.require(call, approval=approved)


@pytest.mark.long
def test_an_approval_of_other_arguments_is_none(sdk: Bailiwick, tenant: Tenant) -> None:
    call = export(tenant, "sdk-2")
    approval = sdk.request_approval(call, reason="INC-1 please")
    tenant.approve(approval.id.partition(".")[0])
    approved = sdk.wait(approval, until=time.time() + 60)
    other = Call(token=call.token, action=call.action, resource=call.resource, args={"fields": ["name", "revenue"]})
    assert not sdk.evaluate(other, approval=approved)
    assert sdk.evaluate(call, approval=approved)


@pytest.mark.long
def test_an_approval_that_was_denied_is_told(sdk: Bailiwick, tenant: Tenant) -> None:
    call = export(tenant, "sdk-3")
    approval = sdk.request_approval(call, reason="INC-1 please")
    tenant.review(approval.id.partition(".")[0], decision="Deny")
    ended = sdk.wait(approval, until=time.time() + 60)
    assert (ended.status, ended.approved) == ("denied", False)


def test_who_is_no_enforcer_is_told_nothing(tenant: Tenant) -> None:
    endpoint = f"{tenant.namespace}/{ENDPOINT}"
    stranger = tenant.token("agent", "bailiwick")
    call = Call(token=tenant.pep, action="customers.list", resource=Resource("customer", "*"))
    with Bailiwick(tenant.points[0], endpoint=endpoint, token=lambda: stranger) as client, pytest.raises(Unavailable):
        client.require(call)


@pytest.mark.long
async def test_it_is_the_same_under_asyncio(tenant: Tenant) -> None:
    call = export(tenant, "sdk-4")
    endpoint = f"{tenant.namespace}/{ENDPOINT}"
    async with AsyncBailiwick(tenant.points[0], endpoint=endpoint, token=lambda: tenant.pep, deadline=10.0) as client:
        with pytest.raises(ApprovalNeeded) as needed:
            await client.require(call)
        approval = await client.request_approval(needed.value, reason="INC-1 please")
        threading.Timer(0.5, tenant.approve, [approval.id.partition(".")[0]]).start()
        approved = await client.wait(approval, until=time.time() + 60)
        assert (await client.require(call, approval=approved)).grant == approval.id
