"""What admission says of a call of the API server, and what the answer before RBAC says: two reviews of one call."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Final

from hypothesis import assume, given, strategies as st

from bailiwick_engine.revocations import PartyRevocation
from contract.adapters.test_kubernetes import access, admitting, asked, outcome, protecting, reason
from support.objects import Object, rule
from support.pdp.alone import Alone
from support.revocations import in_force, revocation

CI: Final = "system:serviceaccount:shop:ci"
# None of them is a part of the cluster that is never locked out.
PEOPLE: Final = (CI, "system:serviceaccount:shop:other", "dave", "system:anonymous")
# How a review at admission and one before RBAC call the same. Of each, an object is named.
CALLS: Final[dict[str, tuple[Object, Object]]] = {
    "create": ({"operation": "CREATE"}, {"verb": "create"}),
    "update": ({"operation": "UPDATE"}, {"verb": "patch"}),
    "delete": ({"operation": "DELETE", "object": None}, {"verb": "delete"}),
    "connect": (
        {"operation": "CONNECT", "resource": "pods", "subResource": "exec", "object": {}},
        {"verb": "create", "resource": "pods", "subresource": "exec"},
    ),
}
STANDS: Final = {"policy_denied", "policy_invalid", "identity_revoked"}
"""Reasons that depend neither on arguments nor on an approval."""


def subjects(username: str) -> st.SearchStrategy[Object]:
    """Each way to name a subject, whether or not it can match."""
    ways: list[Object] = [{"entity": {"type": kind, "ids": [username]}} for kind in ("user", "serviceAccount", "other")]
    if username.startswith("system:serviceaccount:"):
        namespace, name = username.split(":")[2:]
        ways.append({"serviceAccount": {"namespace": namespace, "name": name}})
    return st.sampled_from(ways).map(lambda way: {"name": "one", **way})


@st.composite
def policies(draw: st.DrawFn) -> list[Object]:
    """The policies of the namespace: the one with the settings, and what denies somebody, perhaps as it is broken."""
    subject = draw(st.sampled_from(PEOPLE).flatmap(subjects))
    actions = draw(st.lists(st.sampled_from([*CALLS, "*"]), min_size=1, max_size=2, unique=True))
    kinds = [{"type": kind, "ids": ["*"]} for kind in ("configmaps", "pods/exec")]
    condition: Any = draw(st.sampled_from([{}, {"conditions": [{"name": "broken", "expression": "(("}]}]))
    denying = rule("no", effect="Deny", subjects=["one"], actions=actions, resources=kinds, **condition)
    carrier, beside = protecting(), protecting()
    beside["metadata"] |= {"name": "beside", "uid": "beside-uid"}
    del beside["spec"]["endpointSettings"]
    if draw(st.booleans()):
        beside["spec"] |= {"subjects": [subject], "rules": [denying]}
        return [carrier, beside]
    carrier["spec"] |= {
        "subjects": [*carrier["spec"]["subjects"], subject],
        "rules": [*carrier["spec"]["rules"], denying],
    }
    return [carrier]


REVOKED: Final = st.sampled_from(
    [
        (),
        (revocation(sub=CI),),
        (revocation(username=CI),),
        (revocation(hold=True),),
        (revocation("r-dave", "oidc", username="dave"),),
    ]
)


async def both(made: Alone, user: str, call: str) -> tuple[str | None, str | None]:
    """Return what admission says of a call, and what is said of it before RBAC."""
    at_admission, before = CALLS[call]
    info = {"username": user, "uid": "u", "groups": []}
    async with asked(made, "/admission/enforce") as post:
        _, body = await post(admitting(**{"resource": "configmaps", **at_admission, "userInfo": info}))
    async with asked(made, "/authorize") as post:
        _, status = await post(access(**{"resource": "configmaps", "name": "web", **before, "user": user}))
    return outcome(body), reason(status["status"])


JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
LONG: Final = st.tuples(st.sampled_from(["x", "é", "\U0001f600", "\n"]), st.integers(0, 5_000)).map(
    lambda made: made[0] * made[1]
)
GROUPS: Final = st.tuples(st.sampled_from([0, 1, 300, 3_000]), st.text(max_size=60)).map(
    lambda made: [made[1]] * made[0]
)
USERS: Final = JSON | st.fixed_dictionaries(
    {}, optional={"username": LONG | JSON, "uid": LONG | JSON, "groups": GROUPS | JSON, "extra": JSON}
)


@given(USERS, st.sampled_from(["other", ""]), st.sampled_from(list(CALLS)))
def test_no_user_is_refused_where_no_policy_speaks(user: Any, namespace: str, call: str) -> None:  # noqa: ANN401 - any JSON value
    at_admission, before = CALLS[call]
    said = {"resource": "configmaps", "namespace": namespace}
    review = access(**{"name": "web", **said, **before})
    spec: Object = {"resourceAttributes": review["spec"]["resourceAttributes"]}
    if isinstance(user, dict):
        spec |= {("user" if name == "username" else name): value for name, value in user.items()}
    spec["resourceAttributes"] = review["spec"]["resourceAttributes"]

    async def answers() -> None:
        async with asked(Alone([protecting()]), "/admission/enforce") as post:
            code, body = await post(admitting(**{**said, **at_admission, "userInfo": user}))
            assert (code, body.get("response", {}).get("allowed")) == (200, True), body
        if len(json.dumps(spec)) > 250_000:
            # Before RBAC no more is read: which namespace it is about, nobody knows.
            return
        async with asked(Alone([protecting()]), "/authorize") as post:
            _, body = await post({**review, "spec": spec})
            assert reason(body["status"]) is None

    asyncio.run(answers())


@given(policies(), REVOKED, st.sampled_from(PEOPLE), st.sampled_from(list(CALLS)))
def test_what_admission_denies_by_a_policy_or_a_revocation_is_denied_before_rbac_too(
    made: list[Object], revoked: Iterable[PartyRevocation], user: str, call: str
) -> None:
    alone = Alone(made)
    alone.store.revocations = in_force(*revoked)
    admitted, before = asyncio.run(both(alone, user, call))
    assume(admitted in STANDS)
    assert before is not None, admitted
