"""What waits for a proof or for the clock."""

from bailiwick_operator.loop.waitlist import WaitList


def test_what_waits_is_looked_at_again_once() -> None:
    again: list[str] = []
    waiting = WaitList(again.append)
    for key in ("a", "b", "a", "c"):
        waiting.add(key)
    waiting.discard("c")
    waiting.discard("never there")
    waiting.release()
    assert sorted(again) == ["a", "b"]
    waiting.release()
    assert sorted(again) == ["a", "b"]


def test_what_begins_to_wait_while_others_are_let_go_waits_for_the_next() -> None:
    again: list[str] = []

    def look(key: str) -> None:
        again.append(key)
        waiting.add(key)

    waiting = WaitList(look)
    waiting.add("a")
    waiting.release()
    assert again == ["a"]
