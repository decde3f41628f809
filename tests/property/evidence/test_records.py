"""No secret in the record: wherever a request carries one, no line of the record tells it."""

import asyncio
import hashlib
import json
from dataclasses import replace
from typing import Any, Final

from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings as hypothesis, strategies as st

from bailiwick_engine.compile.policies import compile_object
from bailiwick_engine.policy.model import CompiledPolicy
from bailiwick_engine.policy.snapshot import Snapshot
from bailiwick_webhook.record.line import RecordLines
from support.objects import Object, gated_rule, policy, rule, settings
from support.pdp.alone import HARNESS, Alone, subject_token

AGENT: Final = "system:serviceaccount:agents:crm-agent"
# Each reads what must not be told, in another way.
READING: Final = (
    "context.iban != ''",
    "context.?args.?iban.orValue('') != ''",
    "has(context.payment) && context.payment.size() > 0",
    "context != {}",
    "has(resource.properties.owner) && resource.properties != {}",
    "subject.?properties.?pin.orValue('') != ''",
)
SENSITIVE: Final = frozenset({"context.iban", "context.payment", "subject.properties.pin", "resource.properties.owner"})


def _policy(expression: str, effect: str) -> Object:
    rules = [
        rule("read", effect=effect, conditions=[{"name": "reads", "expression": expression}]),
        rule("else", actions=["customers.list"]),
        gated_rule("export", actions=["customers.export"]),
    ]
    raw = policy("crm", "crm-agent", endpointSettings=settings("certification", "harness"), rules=rules)
    raw["metadata"] |= {"uid": "uid", "generation": 1}
    return raw


SECRETS: Final = st.binary(min_size=6, max_size=6).map(lambda raw: f"s3cr3t-{raw.hex()}")
ANYWHERE: Final = st.recursive(
    SECRETS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(("a", "iban", "token")) | SECRETS, inner)
    ),
    max_leaves=6,
)


@st.composite
def bodies(draw: st.DrawFn) -> Object:
    """A body that carries secrets in any member that has no place in the record."""

    def held() -> Any:  # noqa: ANN401 - any JSON
        return draw(ANYWHERE)

    properties = st.fixed_dictionaries({}, optional=dict.fromkeys(("owner", "pin", "other"), ANYWHERE))
    told = dict.fromkeys(("args", "payment", "business_justification", "x"), ANYWHERE)
    context = draw(st.fixed_dictionaries({"iban": ANYWHERE}, optional=told))
    evidence = {"subject_token": subject_token(AGENT), **({"more": held()} if draw(st.booleans()) else {})}
    return {
        "subject": {"type": "serviceAccount", "id": AGENT, "properties": draw(properties)},
        "action": {
            "name": draw(st.sampled_from(("customers.list", "customers.export"))),
            "properties": draw(properties),
        },
        "resource": {"type": "customer", "id": "42", "properties": draw(properties)},
        "context": {**context, "evidence": evidence},
        "options": {"evaluations_semantic": "execute_all"},
    }


def _secrets(body: object) -> set[str]:
    text = json.dumps(body)
    return {text[at : at + 19] for at in range(len(text)) if text.startswith("s3cr3t-", at)} | {subject_token(AGENT)}


async def _recorded(alone: Alone, path: str, body: object, headers: dict[str, str]) -> list[bytes]:
    async with TestClient(TestServer(alone.application)) as client:
        own = {"Authorization": f"Bearer {HARNESS}", **headers}
        answer = await client.post(f"/endpoints/crm/crm-api/access/v1/{path}", json=body, headers=own)
        await answer.read()
    return alone.records.lines


@hypothesis(max_examples=80)
@given(
    body=bodies(),
    reading=st.sampled_from(READING),
    effect=st.sampled_from(("Allow", "Deny")),
    key=st.sampled_from((None, b"k" * 32)),
    path=st.sampled_from(("evaluation", "evaluations", "search/action", "search/resource")),
    header=SECRETS,
)
def test_no_line_tells_a_secret(
    body: Object, reading: str, effect: str, key: bytes | None, path: str, header: str
) -> None:
    alone = Alone([])
    compiled = compile_object(_policy(reading, effect))
    assert isinstance(compiled, CompiledPolicy)
    rules = tuple(replace(one, sensitive=SENSITIVE) for one in compiled.rules)
    alone.store.snapshot = Snapshot.of([replace(compiled, rules=rules)])
    alone.pdp._recorder.lines = RecordLines(key)
    sent = body | {"evaluations": [{}, {"context": body["context"]}]} if path == "evaluations" else body
    headers = {"Cookie": header, "traceparent": header, "X-Api-Key": header, "Forwarded": header}
    lines = asyncio.run(_recorded(alone, f"{path}?q={header}", sent, headers))
    told = b"\n".join(lines).decode()
    for secret in (*_secrets(body), header):
        assert secret not in told
        assert hashlib.sha256(secret.encode()).hexdigest() not in told
        # Nor what somebody who has no key could find by trying, of a value alone.
        assert hashlib.sha256(json.dumps(secret).encode()).hexdigest() not in told


def test_the_test_sees_what_is_read_and_not_called_sensitive() -> None:
    alone = Alone([_policy("context.iban != ''", "Allow")])
    body = {
        "subject": {"type": "serviceAccount", "id": AGENT},
        "action": {"name": "customers.list"},
        "resource": {"type": "customer", "id": "42"},
        "context": {"iban": "s3cr3t-000000000000", "evidence": {"subject_token": subject_token(AGENT)}},
    }
    (line,) = asyncio.run(_recorded(alone, "evaluation", body, {}))
    assert json.loads(line)["attributes"] == {"context.iban": "s3cr3t-000000000000"}
