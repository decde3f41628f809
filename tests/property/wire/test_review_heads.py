"""The head of a review says what the whole of it says, and whatever is no review is refused: against a whole parser."""

import json
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, strategies as st

from bailiwick_webhook.http.adapters import reviewhead
from bailiwick_webhook.http.problems import ProblemError

NAMES: Final = st.text(max_size=12)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
METADATA: Final = st.fixed_dictionaries(
    {}, optional={"name": JSON, "namespace": JSON, "generateName": JSON, "managedFields": JSON}
)
OBJECTS: Final = JSON | st.fixed_dictionaries({}, optional={"metadata": METADATA | JSON, "path": JSON, "spec": JSON})
USERS: Final = JSON | st.fixed_dictionaries({}, optional={"username": JSON, "uid": JSON, "groups": JSON, "extra": JSON})
MEMBERS: Final = ("uid", "operation", "resource", "subResource", "name", "namespace", "dryRun")
REQUESTS: Final = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(MEMBERS, JSON),
        "userInfo": USERS,
        "object": OBJECTS,
        "oldObject": OBJECTS,
        "options": JSON,
        "kind": JSON,
    },
)


def parts(found: Any, *names: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {name: found[name] for name in names if name in found}


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value without members that are null, which are as absent."""
    return {name: plain(one) for name, one in value.items() if one is not None} if isinstance(value, dict) else value


def expected(request: dict[str, Any]) -> dict[str, Any]:
    """Return what the head of a request is, by the whole of it."""
    head = parts(request, *MEMBERS)
    user = request.get("userInfo")
    if isinstance(user, dict):
        head["userInfo"] = parts(user, "username", "uid", "groups")
    for name in ("object", "oldObject"):
        found = request.get(name)
        if isinstance(found, dict):
            head[name] = parts(found, "path")
            if isinstance(found.get("metadata"), dict):
                head[name]["metadata"] = parts(found["metadata"], "name", "namespace", "generateName")
    return head


@given(request=REQUESTS, ascii_only=st.booleans(), indent=st.sampled_from([None, 1]))
def test_the_head_of_a_review_is_what_a_whole_parser_reads(
    request: dict[str, Any], ascii_only: bool, indent: int | None
) -> None:
    review = {"kind": "AdmissionReview", "apiVersion": reviewhead.VERSION, "request": request}
    raw = json.dumps(review, ensure_ascii=ascii_only, indent=indent).encode()
    assert plain(reviewhead.request_of(raw)) == plain(expected(orjson.loads(raw)["request"]))


@given(raw=JSON.map(orjson.dumps) | st.binary(max_size=40))
def test_what_is_no_review_is_refused(raw: bytes) -> None:
    with pytest.raises(ProblemError) as found:
        reviewhead.request_of(raw)
    assert found.value.status == 400


@given(uid=st.from_regex(r"[0-9a-f-]{1,40}", fullmatch=True), more=JSON)
def test_the_uid_of_a_review_is_found_where_the_api_server_writes_it(uid: str, more: object) -> None:
    review = {"kind": "AdmissionReview", "apiVersion": reviewhead.VERSION, "request": {"uid": uid, "object": more}}
    for raw in (orjson.dumps(review), json.dumps(review).encode()):
        assert reviewhead.uid_in(raw[: reviewhead.HEAD_BYTES]) == uid
