"""Callers that go away, send again, mix batches and spell values otherwise, over three decision points at once."""

import asyncio
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
import pytest
import requests

from support.objects import Object, rule
from support.pdp.processes import REPLICAS
from support.pdp.tenant import RULES, Tenant, Tenants

LIMIT: Final = 7
CALLS: Final = 160


def counted(name: str, *key: str, action: str | None = None, **more: object) -> Object:
    """Return a history that counts one action."""
    counts = {"actions": [action or f"customers.{name}"]}
    return {"name": name, "key": list(key), "window": "1h", "counts": counts, **more}


def limited(name: str, expression: str) -> Object:
    """Return a rule that lets an action through while that holds."""
    return rule(name, actions=[f"customers.{name}"], conditions=[{"name": "limit", "expression": expression}])


@pytest.fixture(scope="module")
def tenant(tenants: Tenants) -> Tenant:
    histories = (
        counted("chaos", "agent", "context.args.run"),
        counted("whole", "context.args.run", action="customers.chaos"),
        counted("spelled", "agent", "context.args.value"),
        counted("paid", "action", amount={"of": "context.args.amount", "digits": 2}),
    )
    rules = (
        limited("chaos", f"history.chaos.count <= {2 * LIMIT} && history.whole.count <= {LIMIT}"),
        limited("spelled", "history.spelled.count <= 1"),
        limited("paid", "history.paid.sum <= 10.3"),
    )
    return tenants.make("abused", [RULES[0], *rules], histories)


class Abuser:
    """Sends calls, and keeps which of them were let through: by request id, place in the batch, and resource."""

    def __init__(self, tenant: Tenant, session: aiohttp.ClientSession, seed: int) -> None:
        self.tenant, self.session, self.seed = tenant, session, seed
        self.random = random.Random(seed)  # noqa: S311 - nothing is kept secret by it
        self.passed: set[tuple[str, int, str]] = set()
        self.answered = 0

    async def send(self, name: str, place: int, items: Sequence[str], patience: float | None) -> None:
        """Send a call, or a batch; go away after some seconds."""
        body = self.tenant.body("customers.chaos", items[0], args={"run": self.seed})
        path = "evaluation"
        if len(items) > 1:
            path, resources = "evaluations", [{"resource": {"type": "customer", "id": item}} for item in items]
            semantic = self.random.choice(["execute_all", "deny_on_first_deny", "permit_on_first_permit"])
            body |= {"evaluations": resources, "options": {"evaluations_semantic": semantic}}
        headers = {"Authorization": f"Bearer {self.tenant.pep}", "X-Request-ID": name}
        timeout = aiohttp.ClientTimeout(patience)
        url = self.tenant.url(path, place % REPLICAS)
        try:
            async with self.session.post(url, json=body, headers=headers, timeout=timeout) as response:
                said: dict[str, Any] = await response.json()
        except (TimeoutError, aiohttp.ClientError):
            return
        self.answered += 1
        for index, answer in enumerate(said.get("evaluations", [said])):
            if answer.get("decision"):
                # Alone it has no place in a batch.
                self.passed.add((name, -1 if len(items) == 1 else index, items[index]))


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 20))])
async def test_whoever_goes_away_or_sends_again_no_limit_is_passed(tenant: Tenant, seed: int) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as session:
        abuser = Abuser(tenant, session, seed)
        draw = abuser.random
        sent = []
        for number in range(CALLS):
            name = f"call-{seed}-{draw.randrange(CALLS // 2)}"
            items = [str(draw.randrange(3)) for _ in range(draw.choice([1, 1, 1, 2, 5]))]
            patience = draw.choice([None, None, draw.uniform(0.001, 0.3)])
            sent.append(abuser.send(name, number, items, patience))
        await asyncio.gather(*sent)
    print(f"\n{abuser.answered} answers, {len(abuser.passed)} calls passed")  # noqa: T201 - for who asks for it
    assert abuser.answered > CALLS // 3
    assert 1 <= len(abuser.passed) <= LIMIT


def test_values_that_are_spelled_otherwise_are_one_or_none(tenant: Tenant) -> None:
    """Each group is one value, which passes once; what is no value never passes."""
    groups: list[list[str]] = [
        ["1", "1.0", "1e0", "10e-1", "1.00"],
        ['"1"', '"\\u0031"'],
        ["0", "-0", "0.0", "-0.0", "0e7"],
        ["true"],
        ["false"],
        ['"true"'],
        ["1e15", "1000000000000000", "1000000000000000.0"],
        ["9007199254740991", "9007199254740991.0"],
        ['"a/b"', '"a\\/b"'],
        ['"\\ud83d\\ude00"', '"\U0001f600"'],
        ['""'],
    ]
    never = ["null", "[]", "{}", "[1]", '{"a":1}', '"\\u0000"', '"1\\u0000"', '"\\ud800"', "9007199254740993", "1e400"]
    points = itertools.cycle(range(REPLICAS))
    passed: dict[str, list[str]] = defaultdict(list)
    for spelled in itertools.chain(*groups, *groups, never):
        if post(tenant, "customers.spelled", f'{{"value": {spelled}}}', next(points)):
            passed[next((group[0] for group in groups if spelled in group), "never")].append(spelled)
    assert {name: len(spellings) for name, spellings in passed.items()} == {group[0]: 1 for group in groups}


def test_amounts_that_are_spelled_otherwise_are_one_or_none(tenant: Tenant) -> None:
    for spelled in ("-1", "1e-3", '"1e0"', "null", "[1]", "true", '"-0"', '"+1"', "1e400", "0.001", '" 1"', "-1e-2"):
        assert not post(tenant, "customers.paid", f'{{"amount": {spelled}}}'), spelled
    # A double of 0.1 and 0.2 is above 0.3; the sum is not.
    for spelled in ("0.1", '"0.20"', "1e1"):
        assert post(tenant, "customers.paid", f'{{"amount": {spelled}}}'), spelled
    assert post(tenant, "customers.paid", '{"amount": -0.0}')
    assert not post(tenant, "customers.paid", '{"amount": 0.01}')


def post(tenant: Tenant, action: str, args: str, point: int = 0) -> bool:
    """Ask with arguments as they are spelled here; return the decision, false where there is no answer of 200."""
    body = json.dumps(tenant.body(action, args="ARGS")).replace('"ARGS"', args)
    headers = {"Authorization": f"Bearer {tenant.pep}", "Content-Type": "application/json"}
    answer = requests.post(tenant.url(point=point), data=body.encode(), headers=headers, timeout=30)
    return bool(answer.status_code == 200 and answer.json()["decision"])
