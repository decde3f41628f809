"""Items of a batch: each is large or not by itself, whatever else is in the body."""

from typing import Any, Final

import orjson
import pytest
from hypothesis import given, strategies as st

from bailiwick_webhook.http.authzen import messages
from bailiwick_webhook.http.authzen.evaluations import ItemSizes, measured, parse
from bailiwick_webhook.pipeline.offload import LARGE

VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=60,
)


def item(**context: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    return {
        "subject": {"type": "user", "id": "a"},
        "action": {"name": "read"},
        "resource": {"type": "t", "id": "1"},
        "context": context,
    }


@pytest.mark.parametrize(
    ("args", "large"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"text": "x" * 200}, False, id="a short text"),
        pytest.param({"text": "x" * LARGE}, True, id="a long text"),
        pytest.param({"text": "\U0001f600" * (LARGE // 4)}, True, id="a text of wide characters"),
        pytest.param({"list": [0] * LARGE}, True, id="a long list"),
        pytest.param({"lists": [[[["y" * 50] * 10] * 10] * 10]}, True, id="lists of lists"),
        pytest.param({f"member {number}": number for number in range(1_000)}, True, id="many members"),
        pytest.param({"x" * LARGE: 1}, True, id="a long name"),
    ],
)
def test_an_item_is_large_by_what_it_holds(args: dict[str, Any], *, large: bool) -> None:
    assert ItemSizes().is_large(messages.parse(item(args=args))) is large


@pytest.mark.parametrize("member", ["action", "resource", "subject"])
def test_properties_count_as_much_as_the_context(member: str) -> None:
    body = item()
    body[member]["properties"] = {"text": "x" * LARGE}
    assert ItemSizes().is_large(messages.parse(body))


def test_what_all_items_share_makes_each_of_them_large() -> None:
    body = item(args={"text": "x" * LARGE}) | {"evaluations": [{}, {"action": {"name": "write"}}]}
    batch = parse(body)
    assert batch is not None
    sizes = ItemSizes()
    assert [sizes.is_large(one) for one in batch.items if isinstance(one, messages.Evaluation)] == [True, True]


def test_a_hundred_small_items_are_small_and_a_large_one_among_them_is_large() -> None:
    small = [{"resource": {"type": "t", "id": f"{number}", "properties": {"region": "eu"}}} for number in range(99)]
    body = item() | {"evaluations": [*small, {"context": {"args": {"text": "x" * LARGE}}}]}
    batch = parse(body)
    assert batch is not None
    sizes = ItemSizes()
    large = [sizes.is_large(one) for one in batch.items if isinstance(one, messages.Evaluation)]
    assert large == [False] * 99 + [True]


@given(VALUES)
def test_what_is_written_in_many_bytes_is_measured_as_many(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """A text is measured without its quotes and escapes, so that the measure may be a few times too small, or large."""
    written = len(orjson.dumps(value))
    assert measured(value) >= LARGE or written <= 6 * measured(value) + 2
    assert measured(value) < LARGE or 16 * written >= LARGE
