"""What is said of guards and logs: good only what was shown a short while ago, and nothing that is not known."""

import json
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick_evidence.checkpoint import Checkpoint, origin
from bailiwick_evidence.note import SignatureType, cosign_note, sign_note, verifier_key
from bailiwick_governance.health.evidencefacts import (
    FRESH_SECONDS,
    GuardFact,
    HealthFacts,
    HealthTone,
    WitnessFact,
    guard_fact,
    is_operator_alive,
    items,
    merge_unknown,
    witness_fact,
)
from bailiwick_governance.health.losses import EndedLosses, ended_losses
from unit.governance.cases import NOW, at

WITNESS: Final = Ed25519PrivateKey.from_private_bytes(bytes([7]) * 32)
OTHER: Final = Ed25519PrivateKey.from_private_bytes(bytes([8]) * 32)
NAME: Final = "witness.example"
VKEY: Final = str(verifier_key(NAME, SignatureType.COSIGNATURE, WITNESS))
KEYS: Final = "the keys of the witness cannot be read"
NO_CHAIN: Final = "no log was witnessed yet"
NONE_ENDED: Final = EndedLosses(0, 0, 0)
MONTH: Final = datetime.fromtimestamp(NOW, UTC).strftime("%Y-%m")


def entry(chain: str, ago: float, by: Ed25519PrivateKey = WITNESS, **more: Any) -> str:  # noqa: ANN401 - of the entry
    named = origin("test", chain.ljust(22, "A"))
    process = Ed25519PrivateKey.from_private_bytes(bytes([9]) * 32)
    note = sign_note(Checkpoint(named, 5, bytes(32)).text(), named, process)
    return json.dumps({"checkpoint": cosign_note(note, NAME, by, int(NOW - ago)), "pod": "p", **more})


def config_map(**entries: str) -> dict[str, Any]:
    return {"data": {"witness.vkey": VKEY + "\n", **entries}}


def told(guard: Any, witness: Any, read: float = NOW) -> list[tuple[str, HealthTone]]:  # noqa: ANN401 - facts or texts
    return [(one.told, one.tone) for one in items(HealthFacts(guard, witness, read, NONE_ENDED), NOW)[:2]]


@pytest.mark.parametrize(
    ("ago", "said", "tone"),
    [
        (40, "proven 40s ago", HealthTone.GOOD),
        (FRESH_SECONDS, "proven 3m ago", HealthTone.GOOD),
        (FRESH_SECONDS + 1, "in doubt: last proven 3m1s ago", HealthTone.DOUBT),
        (-5, "proven 0s ago", HealthTone.GOOD),
        (-60, "proven 0s ago", HealthTone.GOOD),
        (-600, "in doubt: last proven 10m in the future, so one of the clocks is wrong", HealthTone.DOUBT),
    ],
)
def test_guards_are_good_only_while_their_proof_is_fresh(ago: float, said: str, tone: HealthTone) -> None:
    fact = guard_fact({"data": {"provenTime": at(-ago)}})
    assert fact == GuardFact(NOW - ago)
    assert told(fact, NO_CHAIN)[0] == (said, tone)


@pytest.mark.parametrize(
    ("keep", "said", "tone"),
    [
        ("3/3", "proven 40s ago, kept on disk at 3 of 3 API servers", HealthTone.GOOD),
        ("2/3", "proven 40s ago, kept on disk at 2 of 3 API servers", HealthTone.DOUBT),
        ("0/3", "proven 40s ago", HealthTone.GOOD),
        ("0/0", "proven 40s ago", HealthTone.GOOD),
        ("", "proven 40s ago", HealthTone.GOOD),
    ],
)
def test_it_says_at_how_many_api_servers_the_guards_are_kept(keep: str, said: str, tone: HealthTone) -> None:
    assert told(guard_fact({"data": {"provenTime": at(-40), "keep": keep}}), NO_CHAIN)[0] == (said, tone)


def test_guards_that_are_kept_and_not_proven_are_in_doubt() -> None:
    fact = guard_fact({"data": {"provenTime": at(-300), "keep": "3/3"}})
    assert told(fact, NO_CHAIN)[0] == ("in doubt: last proven 5m ago", HealthTone.DOUBT)


@pytest.mark.parametrize(
    "raw",
    [
        {"data": {"provenTime": at(0), "keep": "all"}},
        {},
        {"data": None},
        {"data": {}},
        {"data": {"provenTime": "soon"}},
        {"data": []},
    ],
)
def test_a_proof_that_cannot_be_read_is_not_known(raw: dict[str, Any]) -> None:
    said, tone = told(guard_fact(raw), NO_CHAIN)[0]
    assert (said.startswith("not known: "), tone) == (True, HealthTone.UNKNOWN)


WITNESSED: Final[list[tuple[dict[str, str], str, HealthTone]]] = [
    ({"a": entry("a", 8), "b": entry("b", 50)}, "2 witnessed, the last 8s ago", HealthTone.GOOD),
    (
        {"a": entry("a", 8), "b": entry("b", 600)},
        "1 witnessed, the last 8s ago; 1 no longer witnessed, the first since 10m",
        HealthTone.DOUBT,
    ),
    (
        {"a": entry("a", 400)},
        "0 witnessed, the last 6m40s ago; 1 no longer witnessed, the first since 6m40s",
        HealthTone.DOUBT,
    ),
    (
        {"a": entry("a", 8), "b": entry("b", 8, OTHER), "c": "no JSON"},
        "1 witnessed, the last 8s ago; 2 without a cosignature that verifies",
        HealthTone.DOUBT,
    ),
    (
        {"a": entry("a", 8, refused={"why": "fork", "note": "n"})},
        "1 witnessed, the last 8s ago; 1 refused: a log contradicts itself",
        HealthTone.DOUBT,
    ),
    (
        {"a": entry("a", 8, anew="lost")},
        "1 witnessed, the last 8s ago; 1 begun again after a loss",
        HealthTone.DOUBT,
    ),
    ({}, "0 witnessed", HealthTone.DOUBT),
]


@pytest.mark.parametrize(("entries", "said", "tone"), WITNESSED, ids=[said for _, said, _ in WITNESSED])
def test_logs_are_good_only_where_each_was_cosigned_a_short_while_ago(
    entries: dict[str, str], said: str, tone: HealthTone
) -> None:
    assert told(GuardFact(NOW), witness_fact(config_map(**entries)))[1] == (said, tone)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({}, NO_CHAIN),
        ({"data": None}, NO_CHAIN),
        ({"data": {"a": entry("a", 8)}}, NO_CHAIN),
        ({"data": {"witness.vkey": "no key", "a": entry("a", 8)}}, KEYS),
    ],
)
def test_logs_that_nobody_can_judge_are_not_known(raw: dict[str, Any], said: str) -> None:
    assert told(GuardFact(NOW), witness_fact(raw))[1] == (f"not known: {said}", HealthTone.UNKNOWN)


def test_what_was_read_long_ago_is_not_known_any_more() -> None:
    facts = (GuardFact(NOW), WitnessFact((NOW,), 0, 0, 0))
    assert {tone for _, tone in told(*facts, read=NOW - FRESH_SECONDS)} == {HealthTone.GOOD}
    old = told(*facts, read=NOW - FRESH_SECONDS - 60)
    assert old == [("not known: the API server has not answered for 4m", HealthTone.UNKNOWN)] * 2


def test_nothing_is_known_before_it_was_read() -> None:
    strip = items(None, NOW)
    assert [one.label for one in strip] == ["Guards", "Logs", "Records lost"]
    assert {(one.told, one.tone) for one in strip} == {("not known: it is being read", HealthTone.UNKNOWN)}


def test_what_is_not_known_for_one_reason_is_one_item_where_it_is_merged() -> None:
    def labels(guard: Any, witness: Any) -> list[str]:  # noqa: ANN401 - facts or texts
        return [one.label for one in merge_unknown(items(HealthFacts(guard, witness, NOW, NONE_ENDED), NOW))]

    assert labels("forbidden", "forbidden") == ["Guards, logs and records lost"]
    assert labels("gone", "forbidden") == ["Guards", "Logs and records lost"]
    assert labels(GuardFact(NOW), "forbidden") == ["Guards", "Logs and records lost"]
    assert labels("forbidden", WitnessFact((NOW,), 0, 0, 0)) == ["Guards", "Logs", "Records lost"]


def lost(witness: Any, ended: EndedLosses | str = NONE_ENDED) -> tuple[str, HealthTone]:  # noqa: ANN401 - fact or text
    found = items(HealthFacts(GuardFact(NOW), witness, NOW, ended), NOW)[2]
    return found.told, found.tone


LOST: Final[list[tuple[dict[str, str], str, HealthTone]]] = [
    ({"a": entry("a", 8, lost=0), "b": entry("b", 50, lost=0)}, "none in 2 logs", HealthTone.GOOD),
    ({"a": entry("a", 8, lost=3), "b": entry("b", 8, lost=0)}, "3 in 1 of 2 logs", HealthTone.DOUBT),
    ({"a": entry("a", 8, lost=3), "b": entry("b", 8, lost=4)}, "7 in 2 of 2 logs", HealthTone.DOUBT),
    # A process of an older version, or one that tells nonsense.
    ({"a": entry("a", 8)}, "not known of 1 log", HealthTone.UNKNOWN),
    ({"a": entry("a", 8, lost="0"), "b": entry("b", 8, lost=-1)}, "not known of 2 logs", HealthTone.UNKNOWN),
    ({"a": entry("a", 8, lost=0), "b": entry("b", 8)}, "none in 1 log; not known of 1 log", HealthTone.UNKNOWN),
    ({"a": entry("a", 8, lost=2), "b": entry("b", 8)}, "2 in 1 of 1 log; not known of 1 log", HealthTone.DOUBT),
    # One that is gone, or answers no more.
    (
        {"a": entry("a", 400, lost=0), "b": entry("b", 8, lost=0)},
        "none in 2 logs; 1 of them no longer asked: the last figure counts",
        HealthTone.UNKNOWN,
    ),
    (
        {"a": entry("a", 400, lost=9)},
        "9 in 1 of 1 log; 1 of them no longer asked: the last figure counts",
        HealthTone.DOUBT,
    ),
    # Whoever may write the ConfigMap may write anything: no figure counts without what the witness cosigned.
    (
        {"a": entry("a", 8, lost=0), "b": entry("b", 8, OTHER, lost=0), "c": '{"lost":0}', "d": "no JSON"},
        "none in 1 log; not known of 3 logs",
        HealthTone.UNKNOWN,
    ),
    ({"a": entry("a", 8, OTHER, lost=5)}, "not known of 1 log", HealthTone.UNKNOWN),
    ({}, "not known: no log was witnessed yet", HealthTone.UNKNOWN),
]


@pytest.mark.parametrize(("entries", "said", "tone"), LOST)
def test_no_records_were_lost_only_where_each_log_was_asked_a_short_while_ago_and_said_so(
    entries: dict[str, str], said: str, tone: HealthTone
) -> None:
    assert lost(witness_fact(config_map(**entries))) == (said, tone)


def month(name: str = MONTH, **entries: str) -> dict[str, Any]:
    return {"data": {**config_map(**entries)["data"], "month": name}}


ENDED: Final[list[tuple[dict[str, Any], EndedLosses | str]]] = [
    ({}, NONE_ENDED),
    ({"data": None}, NONE_ENDED),
    (month(), NONE_ENDED),
    (month("2025-11", a=entry("a", 8, lost=5)), NONE_ENDED),
    (month(a=entry("a", 9999, lost=0), b=entry("b", 9999, lost=5), c=entry("c", 9, lost=6)), EndedLosses(11, 2, 0)),
    (month(a=entry("a", 9999), b="no JSON", c=entry("c", 9, OTHER, lost=6)), EndedLosses(0, 0, 3)),
    (month(live=entry("a", 9999, lost=7), b=entry("b", 9, lost=1)), EndedLosses(1, 1, 0)),
    ({"data": {**month(a=entry("a", 9, lost=1))["data"], "witness.vkey": "no key"}}, KEYS),
]


@pytest.mark.parametrize(("raw", "found"), ENDED)
def test_what_logs_lost_that_ended_is_counted_for_the_month(raw: dict[str, Any], found: EndedLosses | str) -> None:
    assert ended_losses(raw, NOW, ["live"]) == found


@pytest.mark.parametrize(
    ("ended", "said", "tone"),
    [
        (EndedLosses(12, 2, 0), "none in 1 log; 12 in 2 logs that ended this month", HealthTone.DOUBT),
        (EndedLosses(0, 0, 2), "none in 1 log; not known of 2 logs that ended this month", HealthTone.UNKNOWN),
        ("you may not read it", "none in 1 log; not known of logs that have ended: you may not read it", "unknown"),
    ],
)
def test_what_is_known_of_logs_that_ended_is_said_beside_those_that_live(
    ended: EndedLosses | str, said: str, tone: HealthTone
) -> None:
    assert lost(witness_fact(config_map(a=entry("a", 8, lost=0))), ended) == (said, tone)


def test_logs_that_were_cosigned_in_the_future_are_in_doubt() -> None:
    ((told_, tone),) = told(NO_CHAIN, witness_fact(config_map(a=entry("a", -600), b=entry("b", 10))))[1:2]
    expected = "1 witnessed, the last 10s ago; 1 witnessed in the future, so one of the clocks is wrong"
    assert (told_, tone) == (expected, HealthTone.DOUBT)


@pytest.mark.parametrize(
    ("guard", "cosigned", "alive"),
    [(-40, None, True), (-600, None, False), (600, None, False), (-600, 40, True), (-600, 600, False)],
)
def test_the_operator_is_alive_while_something_of_it_is_fresh(guard: int, cosigned: int | None, alive: bool) -> None:
    witness = NO_CHAIN if cosigned is None else witness_fact(config_map(a=entry("a", cosigned)))
    facts = HealthFacts(guard_fact({"data": {"provenTime": at(guard)}}), witness, NOW, NONE_ENDED)
    assert is_operator_alive(facts, NOW) is alive
