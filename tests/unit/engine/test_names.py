"""Which names a list of a policy holds."""

import pytest

from bailiwick_engine.call import Resource
from bailiwick_engine.names import NameSet
from bailiwick_engine.policy.model import CompiledResource


class TestANameSet:
    @pytest.mark.parametrize(
        ("listed", "name", "held"),
        [
            (["customers.list"], "customers.list", True),
            (["customers.list"], "customers.list.all", False),
            (["customers.list"], "customers", False),
            (["customers.list"], "Customers.List", False),
            (["customers.list"], "customers.list ", False),
            (["customers.list"], "customersXlist", False),
            (["customers.list"], "", False),
            (["customers.*"], "customers.a", True),
            (["customers.*"], "customers.a.b", True),
            (["customers.*"], "customers.*", True),
            (["customers.*"], "customers..", True),
            (["customers.*"], "customers", False),
            (["customers.*"], "customers.", False),
            (["customers.*"], "customersX", False),
            (["customers.*"], "xcustomers.a", False),
            (["customers.*"], "CUSTOMERS.a", False),
            (["a:*"], "a:b", True),
            (["a:*"], "a.b", False),
            (["a/*"], "a/b/c", True),
            (["a/*"], "a/", False),
            (["a.b.*"], "a.b.c", True),
            (["a.b.*"], "a.c", False),
            (["*"], "anything", True),
            (["*"], "", True),
            (["*", "a"], "b", True),
            (["a", "b.*"], "a", True),
            (["a", "b.*"], "b.c", True),
            (["a", "b.*"], "c", False),
            (["a", "b.*", "c.*"], "c.d", True),
            ([], "a", False),
            ([], "", False),
            ([], "*", False),
            (["é"], "e\u0301", False),
            (["a"], None, False),
            (["*"], None, False),
            (["*"], 1, False),
            (["*"], ["a"], False),
        ],
    )
    def test_holds_names_as_they_are_spelled(self, listed: list[str], name: object, *, held: bool) -> None:
        assert (name in NameSet.of(listed)) is held

    def test_does_not_depend_on_the_order_of_its_names(self) -> None:
        assert NameSet.of(["b.*", "a", "c.*", "*"]) == NameSet.of(["*", "c.*", "b.*", "a", "a"])


class TestTwoNameSets:
    @pytest.mark.parametrize(
        ("one", "other", "covered", "meet"),
        [
            (["a"], ["a"], True, True),
            (["a"], ["b"], False, False),
            (["a"], ["a", "b"], False, True),
            (["a", "b"], ["a"], True, True),
            (["a.*"], ["a.b"], True, True),
            (["a.b"], ["a.*"], False, True),
            (["a.*"], ["a"], False, False),
            (["a.*"], ["a."], False, False),
            (["a.*"], ["a.*"], True, True),
            (["a.*"], ["a.b.*"], True, True),
            (["a.b.*"], ["a.*"], False, True),
            (["a.*"], ["a:*"], False, False),
            (["a.*", "c"], ["a.b", "c"], True, True),
            (["a.*", "c"], ["a.b", "d"], False, True),
            (["a.*"], ["a.b.*", "c.*"], False, True),
            (["*"], ["a"], True, True),
            (["*"], ["a.*"], True, True),
            (["*"], ["*"], True, True),
            (["a"], ["*"], False, True),
            (["a.*"], ["*"], False, True),
            (["a"], [], True, False),
            (["*"], [], True, False),
            ([], ["*"], False, False),
            ([], ["a"], False, False),
            ([], [], True, False),
        ],
    )
    def test_cover_each_other_and_meet_by_the_names_they_hold(
        self, one: list[str], other: list[str], *, covered: bool, meet: bool
    ) -> None:
        left, right = NameSet.of(one), NameSet.of(other)
        assert left.covers(right) is covered
        assert left.overlaps(right) is right.overlaps(left) is meet


def covers(entry: dict[str, list[str]], properties: object, *, absent: bool, kind: str = "t", name: str = "1") -> bool:
    compiled = CompiledResource("t", NameSet.of(["1"]), {key: frozenset(values) for key, values in entry.items()})
    return compiled.covers(Resource(kind, name, properties), absent_matches=absent)  # type: ignore[arg-type]  # hostile


class TestAResource:
    @pytest.mark.parametrize(
        ("entry", "properties", "covered", "covered_if_absent_matches"),
        [
            ({}, None, True, True),
            ({}, {"env": "prod"}, True, True),
            ({"env": ["prod"]}, {"env": "prod"}, True, True),
            ({"env": ["prod", "test"]}, {"env": "test"}, True, True),
            ({"env": ["prod"]}, {"env": "Prod"}, False, False),
            ({"env": ["prod"]}, {"env": ""}, False, False),
            ({"env": ["prod"]}, {}, False, True),
            ({"env": ["prod"]}, None, False, True),
            ({"env": ["prod"]}, {"env": None}, False, True),
            ({"env": ["prod"]}, {"env": True}, False, True),
            ({"env": ["1"]}, {"env": 1}, False, True),
            ({"env": ["prod"]}, {"env": ["prod"]}, False, True),
            ({"env": ["prod"]}, {"env": {"prod": "prod"}}, False, True),
            ({"env": ["prod"]}, {"Env": "prod"}, False, True),
            ({"env": ["prod"], "zone": ["a"]}, {"env": "prod", "zone": "a"}, True, True),
            ({"env": ["prod"], "zone": ["a"]}, {"env": "prod"}, False, True),
            ({"env": ["prod"], "zone": ["a"]}, {"env": "prod", "zone": "b"}, False, False),
            ({"env": ["prod"], "zone": ["a"]}, {"zone": "b"}, False, False),
        ],
    )
    def test_is_covered_by_all_its_properties(
        self, entry: dict[str, list[str]], properties: object, *, covered: bool, covered_if_absent_matches: bool
    ) -> None:
        assert covers(entry, properties, absent=False) is covered
        assert covers(entry, properties, absent=True) is covered_if_absent_matches

    @pytest.mark.parametrize("absent", [True, False])
    def test_of_another_type_or_id_is_not_covered(self, *, absent: bool) -> None:
        assert not covers({}, None, absent=absent, kind="u")
        assert not covers({}, None, absent=absent, name="2")
