"""The freshest version of each object, and when it was seen, whatever order events and lists come in."""

from bailiwick_operator.loop.inventory import Inventory, Key, Ticks
from support.objects import Object


def at(name: str, version: int, uid: str = "") -> Object:
    return {
        "metadata": {"namespace": "crm", "name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    }


class Told(list[str]):
    def __call__(self, body: Object) -> None:
        self.append(body["metadata"]["name"])


def version_of(inventory: Inventory, name: str) -> int | None:
    seen = inventory.get(Key("crm", name))
    return seen.version if seen else None


def test_a_newer_version_replaces_and_an_older_one_does_not() -> None:
    told = Told()
    inventory = Inventory(Ticks(), told)
    for version in (5, 7, 6, 7):
        inventory.record(at("a", version))
    assert version_of(inventory, "a") == 7
    assert told == ["a", "a"]


def test_a_version_keeps_the_tick_at_which_it_was_first_seen() -> None:
    ticks = Ticks()
    inventory = Inventory(ticks, Told())
    inventory.record(at("a", 5))
    first = inventory.get(Key("crm", "a"))
    between = ticks()
    inventory.record(at("a", 5))
    again = inventory.get(Key("crm", "a"))
    assert first is not None
    assert again is not None
    assert first.at == again.at < between
    inventory.record(at("a", 6))
    newer = inventory.get(Key("crm", "a"))
    assert newer is not None
    assert newer.at > between


def test_versions_are_compared_as_numbers() -> None:
    inventory = Inventory(Ticks(), Told())
    inventory.record(at("a", 9))
    inventory.record(at("a", 10))
    assert version_of(inventory, "a") == 10


def test_what_is_deleted_is_forgotten_and_told() -> None:
    told = Told()
    inventory = Inventory(Ticks(), told)
    inventory.record(at("a", 5))
    inventory.forget(at("a", 6))
    assert version_of(inventory, "a") is None
    assert told == ["a", "a"]


def test_a_late_event_of_a_deleted_object_does_not_bring_it_back() -> None:
    inventory = Inventory(Ticks(), Told())
    inventory.forget(at("a", 6))
    inventory.record(at("a", 5))
    assert len(inventory) == 0


def test_the_deletion_of_a_predecessor_leaves_its_successor() -> None:
    inventory = Inventory(Ticks(), Told())
    inventory.record(at("a", 8, uid="new"))
    inventory.forget(at("a", 6, uid="old"))
    assert version_of(inventory, "a") == 8


class TestAnAudit:
    def test_finds_what_was_deleted_without_a_word(self) -> None:
        told = Told()
        inventory = Inventory(Ticks(), told)
        for name in ("a", "b"):
            inventory.record(at(name, 5))
        inventory.begin_audit()
        assert inventory.audit([at("a", 5)], 9) == (1, 0)
        assert (version_of(inventory, "a"), version_of(inventory, "b")) == (5, None)
        assert told == ["a", "b", "b"]

    def test_finds_what_nobody_told_of(self) -> None:
        inventory = Inventory(Ticks(), Told())
        inventory.begin_audit()
        assert inventory.audit([at("a", 5)], 9) == (0, 1)
        assert version_of(inventory, "a") == 5

    def test_leaves_what_was_created_after_the_list_was_read(self) -> None:
        inventory = Inventory(Ticks(), Told())
        inventory.begin_audit()
        inventory.record(at("new", 12))
        assert inventory.audit([], 9) == (0, 0)
        assert version_of(inventory, "new") == 12

    def test_does_not_bring_back_what_was_deleted_while_the_list_was_read(self) -> None:
        inventory = Inventory(Ticks(), Told())
        inventory.record(at("a", 5))
        inventory.begin_audit()
        inventory.forget(at("a", 10))
        inventory.audit([at("a", 5)], 9)
        assert version_of(inventory, "a") is None

    def test_does_not_count_as_missing_what_was_deleted_while_the_list_was_read(self) -> None:
        inventory = Inventory(Ticks(), Told())
        inventory.record(at("a", 5))
        inventory.begin_audit()
        inventory.forget(at("a", 10))
        assert inventory.audit([at("a", 5), at("b", 6)], 9) == (0, 1)

    def test_does_not_replace_by_what_is_older(self) -> None:
        inventory = Inventory(Ticks(), Told())
        inventory.record(at("a", 12))
        inventory.begin_audit()
        inventory.audit([at("a", 5)], 9)
        assert version_of(inventory, "a") == 12


def test_another_object_under_the_same_name_is_told_of_as_gone_and_come() -> None:
    told: list[tuple[str, bool]] = []

    def changed(body: Object) -> None:
        told.append((body["metadata"]["uid"], inventory.get(Key("crm", "a")) is not None))

    inventory = Inventory(Ticks(), changed)
    inventory.record(at("a", 5, uid="old"))
    inventory.record(at("a", 9, uid="new"))
    assert told == [("old", True), ("old", False), ("new", True)]


def test_who_wrote_which_field_is_not_kept() -> None:
    inventory = Inventory(Ticks(), Told())
    body = at("a", 5)
    inventory.record(body | {"metadata": {**body["metadata"], "managedFields": [{"manager": "kubectl"}]}})
    seen = inventory.get(Key("crm", "a"))
    assert seen is not None
    assert seen.body == body
