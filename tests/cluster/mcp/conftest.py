"""A running Bailiwick, and MCP servers that ask it."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import pytest

from support.mcp import fronts
from support.mcp.fronts import Front
from support.objects import gated_rule, rule, subject
from support.pdp.fixtures import pdp, tenants
from support.pdp.tenant import PLENTY, RULES, STEPS, Tenant, Tenants

__all__ = ["pdp", "tenants"]

_TOOLS: Final = [{"type": "tool", "ids": ["*"]}]
_READS: Final = ["orders", "get_current_time"]
_GATED: Final = ["refund", "convert_time"]
_STARTING: Final = {"fastmcp": fronts.fastmcp, "official": fronts.official, "gateway": fronts.gateway}


@pytest.fixture(scope="module")
def tenant(tenants: Tenants, request: pytest.FixtureRequest) -> Tenant:
    """A tenant whose agent may read, and refund with an approval; its stranger may read.

    A Deny that reads arguments, which a list has none of, shows the stranger nothing.
    """
    tenant = tenants.make(request.module.__name__.rpartition(".")[2])
    agent = subject(namespace=tenant.namespace, account="agent")
    reader = subject(name="reader", namespace=tenant.namespace, account="stranger")
    approval = {"steps": STEPS, "limits": PLENTY}
    rules = [
        rule("reads", subjects=["agent", "reader"], actions=_READS, resources=_TOOLS),
        gated_rule("gated", actions=_GATED, resources=_TOOLS, approval=approval),
        rule(
            "not-everything",
            effect="Deny",
            subjects=["reader"],
            actions=[*_GATED, "wipe"],
            resources=_TOOLS,
            conditions=[{"name": "everything", "expression": "context.args.order == 'everything'"}],
        ),
        rule("known", actions=["customers.known"]),
        RULES[0],
    ]
    tenant.change_policy({"subjects": [agent, reader], "rules": rules})
    tenant.await_known(lambda said: said.decision is True, "customers.known")
    return tenant


@pytest.fixture(scope="module", params=sorted(_STARTING))
def front(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Front]:
    """Each MCP server in turn."""
    with ExitStack() as closing:
        yield _STARTING[request.param](tenant, closing, tmp_path_factory.mktemp(request.param))
