"""The texts of a state: which are read, and that others are none."""

from typing import Any, Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.history.state import (
    MAX_LINES,
    MAX_NUMBER,
    MAX_RECENT,
    MAX_SLOTS,
    MAX_TIME,
    Entry,
    EntryShare,
    KeyState,
    Slot,
    StateLine,
    parse_state,
    state_spec,
)
from support.histories import KEY, entry_id

NOW: Final = 1_764_439_200_123
ID: Final = entry_id(7)
SHARE: Final = "9c1f00aa55ee:457:1:0:-"
SPEC: Final[dict[str, Any]] = {
    "endpoint": "crm-api",
    "key": KEY,
    "seq": 118,
    "clock": NOW,
    "lines": {"9c1f00aa55ee": {"slots": "457:3:0 458:1:25", "last": NOW}},
    "recent": f"{entry_id(1)}@{NOW - 5}={SHARE} {ID}@{NOW}=9c1f00aa55ee:458:1:25:{NOW - 5},000000000000:1:1:0:-!",
}


def test_a_state_is_read_as_it_is_written() -> None:
    state = parse_state(SPEC)
    assert state == KeyState(
        "crm-api",
        KEY,
        118,
        NOW,
        {"9c1f00aa55ee": StateLine((Slot(457, 3, 0), Slot(458, 1, 25)), NOW)},
        (
            Entry(entry_id(1), NOW - 5, (EntryShare("9c1f00aa55ee", 457, 1, 0),)),
            Entry(
                ID,
                NOW,
                (EntryShare("9c1f00aa55ee", 458, 1, 25, NOW - 5), EntryShare("000000000000", 1, 1, 0)),
                relied_on=True,
            ),
        ),
    )
    assert state is not None
    assert state_spec(state) == SPEC


def test_a_new_state_reads_back() -> None:
    new = KeyState("crm-api", KEY)
    assert parse_state(state_spec(new)) == new


def with_line(slots: object = "457:3:0", last: object = NOW, **more: object) -> dict[str, Any]:
    return {"lines": {"9c1f00aa55ee": {"slots": slots, "last": last, **more}}}


def many(text: str, count: int) -> str:
    return " ".join(text.format(number) for number in range(1, count + 1))


LARGEST: Final[list[dict[str, Any]]] = [
    {"seq": MAX_NUMBER},
    {"clock": MAX_TIME},
    with_line(f"{NOW}:{MAX_NUMBER}:{MAX_NUMBER}"),
    with_line(many("{}:1:0", MAX_SLOTS)),
    {"lines": {f"{number:012x}": {"slots": "457:3:0", "last": NOW} for number in range(MAX_LINES)}},
    {"recent": ""},
    {"recent": f"{ID}@{NOW}=9c1f00aa55ee:{NOW}:{MAX_NUMBER}:{MAX_NUMBER}:{NOW}"},
    {"recent": f"{ID}@1={','.join([SHARE] * 32)}"},
    {"recent": many(f"{{:032x}}@1={SHARE}", MAX_RECENT)},
]
HOSTILE: Final[list[dict[str, Any]]] = [
    {"more": 1},
    {"endpoint": ""},
    {"endpoint": "CRM"},
    {"endpoint": "crm-api\n"},
    {"endpoint": None},
    {"key": "sha256:" + "0" * 63},
    {"key": "sha256:" + "A" * 64},
    {"key": KEY + "\n"},
    {"seq": -1},
    {"seq": 1.0},
    {"seq": True},
    {"seq": "118"},
    {"seq": MAX_NUMBER + 1},
    {"clock": -1},
    {"clock": None},
    {"clock": MAX_TIME + 1},
    {"lines": None},
    {"lines": []},
    {"lines": {1: {"slots": "457:3:0", "last": NOW}}},
    {"key": 1},
    {"endpoint": 1},
    with_line("457:3:0 457:1:0 458:1:0"),
    {"recent": many(f"{{:032x}}@1={','.join([SHARE] * 32)}", 46)},
    {"lines": {"9c1f": {"slots": "457:3:0", "last": NOW}}},
    {"lines": {"9C1F00AA55EE": {"slots": "457:3:0", "last": NOW}}},
    {"lines": {"9c1f00aa55ee": "457:3:0"}},
    {"lines": {"9c1f00aa55ee": {"slots": "457:3:0"}}},
    {"lines": {f"{number:012x}": {"slots": "457:3:0", "last": NOW} for number in range(MAX_LINES + 1)}},
    with_line(more=1),
    with_line(last=None),
    with_line(last=NOW + 1),
    with_line(last=-1),
    with_line(last=True),
    with_line(""),
    with_line(None),
    with_line(" 457:3:0"),
    with_line("457:3:0 "),
    with_line("457:3:0  458:1:0"),
    with_line("457:3:0\n"),
    with_line("457:3"),
    with_line("457:3:0:0"),
    with_line("457:0:0"),
    with_line("457:-3:0"),
    with_line("457:+3:0"),
    with_line("457:03:0"),
    with_line("0457:3:0"),
    with_line("457:3_0:0"),
    with_line("\u0664:3:0"),
    with_line("458:1:0 457:3:0"),
    with_line("457:3:0 457:1:0"),
    with_line(f"{NOW + 1}:3:0"),
    with_line(f"457:{MAX_NUMBER + 1}:0"),
    with_line(f"457:3:{MAX_NUMBER + 1}"),
    with_line("457:3:0" + "0" * 10_000),
    with_line(many("{}:1:0", MAX_SLOTS + 1)),
    {"recent": None},
    {"recent": []},
    {"recent": " "},
    {"recent": f" {ID}@1={SHARE}"},
    {"recent": f"{ID}@1={SHARE} "},
    {"recent": f"{ID}@1={SHARE}\n"},
    {"recent": f"{ID[1:]}@1={SHARE}"},
    {"recent": f"{ID.replace('7', 'A')}@1={SHARE}"},
    {"recent": f"{ID}@01={SHARE}"},
    {"recent": f"{ID}@{NOW + 1}={SHARE}"},
    {"recent": f"{ID}@1="},
    {"recent": f"{ID}@1=!"},
    {"recent": f"{ID}@1={SHARE}!!"},
    {"recent": f"{ID}@1={SHARE},"},
    {"recent": f"{ID}@1={SHARE}!,{SHARE}"},
    {"recent": f"{ID}@1=9c1f00aa55ee:457:1:0"},
    {"recent": f"{ID}@1=9c1f00aa55ee:457:0:0:-"},
    {"recent": f"{ID}@1=9c1f00aa55ee:{NOW + 1}:1:0:-"},
    {"recent": f"{ID}@1=9c1f00aa55ee:457:{MAX_NUMBER + 1}:0:-"},
    {"recent": f"{ID}@1=9c1f00aa55ee:457:1:{MAX_NUMBER + 1}:-"},
    {"recent": f"{ID}@1=9c1f00aa55ee:457:1:0:{NOW + 1}"},
    {"recent": f"{ID}@1={','.join([SHARE] * 33)}"},
    {"recent": many(f"{{:032x}}@1={SHARE}", MAX_RECENT + 1)},
    {"recent": f"{ID}@1={SHARE}" + "0" * 100_000},
]


@pytest.mark.parametrize("changes", LARGEST, ids=range(len(LARGEST)))
def test_the_largest_is_read(changes: dict[str, Any]) -> None:
    state = parse_state({**SPEC, **changes})
    assert state is not None
    assert state_spec(state) == {**SPEC, **changes}


class TestWhatIsNoState:
    @pytest.mark.parametrize("changes", HOSTILE, ids=range(len(HOSTILE)))
    def test_is_not_read(self, changes: dict[str, Any]) -> None:
        assert parse_state({**SPEC, **changes}) is None

    @pytest.mark.parametrize("member", SPEC)
    def test_lacks_a_member(self, member: str) -> None:
        assert parse_state({name: value for name, value in SPEC.items() if name != member}) is None

    @pytest.mark.parametrize("spec", [None, [], "", 1, {}])
    def test_is_another_thing(self, spec: object) -> None:
        assert parse_state(spec) is None


@given(
    text=st.text(alphabet="0123456789abcdef:@=,! -", max_size=60),
    place=st.sampled_from(["recent", "slots"]),
    cut=st.integers(0, 80),
)
def test_what_is_read_is_written_as_it_was(text: str, place: str, cut: int) -> None:
    """So no two texts are the same state."""
    if place == "recent":
        spec = {**SPEC, "recent": SPEC["recent"][:cut] + text + SPEC["recent"][cut + len(text) :]}
    else:
        spec = {**SPEC, **with_line("457:3:0 458:1:25"[: cut % 16] + text)}
    state = parse_state(spec)
    assert state is None or state_spec(state) == spec
