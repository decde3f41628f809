"""The list of grants that are void by name: what it says, and that it always fits where it is stored."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from bailiwick_api.voidgrants import ALL, NONE, PER_NAMESPACE, VoidGrant, VoidGrants

UID = "0b1a2c3d-0000-4000-8000-00000000{:04}"
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
lists = st.builds(
    lambda grants, namespaces: VoidGrants({uid: VoidGrant(*named) for uid, named in grants.items()}, namespaces),
    st.dictionaries(st.uuids().map(str), st.tuples(names, names), max_size=8),
    st.frozensets(names, max_size=3),
)


def many(namespace: str, count: int, first: int = 0) -> dict[str, VoidGrant]:
    return {f"{namespace}-{number}": VoidGrant(namespace, f"agr-{number}") for number in range(first, first + count)}


@given(lists)
def test_a_list_is_read_as_it_was_written(void: VoidGrants) -> None:
    assert VoidGrants.parse(void.text()) == void


def test_it_holds_the_very_grant_and_all_of_a_namespace() -> None:
    void = VoidGrants({"uid-1": VoidGrant("crm", "agr-a")}, frozenset({"flooded"}))
    assert void.text() == "crm/agr-a uid-1\nflooded/*"
    held = [void.holds(*one) for one in (("crm", "uid-1"), ("crm", "uid-2"), ("flooded", "uid-2"), ("hr", "uid-2"))]
    assert held == [True, False, True, False]
    assert not NONE.holds("crm", "uid-1")


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "crm",
        "crm/agr-a",
        "crm/agr-a uid more",
        "crm/ uid",
        "/agr-a uid",
        "crm/agr-a uid\n\n",
        "CRM/a uid",
        " ",
    ],
)
def test_what_cannot_be_read_is_not_the_empty_list(text: Any) -> None:  # noqa: ANN401 - whatever is stored
    assert VoidGrants.parse(text) is None


def test_nothing_is_the_empty_list() -> None:
    assert VoidGrants.parse("") == NONE
    assert NONE.text() == ""


class TestBounds:
    def test_a_namespace_with_too_many_is_void_whole_and_the_others_are_not(self) -> None:
        of_others = many("hr", PER_NAMESPACE)
        bounded = VoidGrants({**many("crm", PER_NAMESPACE + 1), **of_others}).within_limits()
        assert bounded == VoidGrants(of_others, frozenset({"crm"}))

    def test_of_too_many_namespaces_those_with_the_most_are_void_whole(self) -> None:
        grants: dict[str, VoidGrant] = {}
        for number in range(ALL // PER_NAMESPACE + 5):
            grants |= many(f"ns-{number:03}", PER_NAMESPACE)
        grants |= many("small", 3)
        bounded = VoidGrants(grants).within_limits()
        assert len(bounded.grants) <= ALL
        assert "small" not in bounded.namespaces
        assert all(bounded.holds(named.namespace, uid) for uid, named in grants.items())

    @given(lists)
    def test_whatever_was_void_stays_void(self, void: VoidGrants) -> None:
        bounded = void.within_limits()
        assert all(bounded.holds(named.namespace, uid) for uid, named in void.grants.items())
        assert bounded.namespaces >= void.namespaces
        assert bounded.within_limits() == bounded

    def test_the_longest_list_fits_into_a_config_map(self) -> None:
        grants = {}
        for number in range(ALL):
            namespace = f"{number // PER_NAMESPACE:02}" + "n" * 61
            grants[UID.format(number)] = VoidGrant(namespace, "a" * 249 + f"{number:04}")
        bounded = VoidGrants(grants).within_limits()
        assert len(bounded.grants) == ALL
        assert len(bounded.text()) < 1024 * 1024 * 3 // 4
