"""Which checkpoint may be cosigned, and what is refused for good, for now, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, strategies as st

from bailiwick_evidence.chainentry import ChainRefusal, CosignedCheckpoint, WitnessedChain
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.note import SignatureType, cosign_note, sign_note, verifier_key
from bailiwick_operator.reconcile.witness import (
    AnswerRejection,
    ChainRefused,
    CheckpointAnswer,
    Cosignable,
    HeldChain,
    LogContradiction,
    OtherSize,
    contradicting_chains,
    finished_chains,
    is_due,
    judge,
    lost_chains,
    newest_chains,
    plain_note,
    with_losses,
)
from support.logs import LoggedProcess

HOME: Final = "bailiwick-system"


def held(log: LoggedProcess, time: int = 1000, replica: str = "uid-p1") -> HeldChain:
    """What is held of a log as it is now."""
    checkpoint = Checkpoint.parse(log.note())
    entry = WitnessedChain(log.id, log.key, log.note(), replica, log.pod, "2026-11-27T10:00:00Z")
    return HeldChain(entry, CosignedCheckpoint(checkpoint, time))


def answer(log: LoggedProcess, since: int = 0, known: int | None = None, **more: object) -> CheckpointAnswer:
    said = {
        "replica": "uid-p1",
        "pod": "p1",
        "known": since if known is None else known,
        "since": since,
        "note": log.note(),
        "key": log.key,
        "proof": tuple(log.proof(since)) if since else (),
    } | more
    return CheckpointAnswer(**said)  # type: ignore[arg-type]  # as the table of cases gives them


def test_a_chain_that_is_seen_for_the_first_time_is_cosigned() -> None:
    log = LoggedProcess(7)
    assert judge(HOME, {}, answer(log)) == Cosignable(log.id, Checkpoint.parse(log.note()))


@given(st.integers(1, 40), st.integers(0, 40))
def test_a_log_that_grew_is_cosigned_from_every_size_to_every_size(before: int, more: int) -> None:
    log = LoggedProcess(before)
    known = {log.id: held(log)}
    log.grow(more)
    assert judge(HOME, known, answer(log, before)) == Cosignable(log.id, Checkpoint.parse(log.note()))


@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 40))
def test_a_log_that_forked_before_what_was_witnessed_is_never_cosigned(at: int, kept: int, more: int) -> None:
    log = LoggedProcess(at)
    other = log.forked(at - 1, 1 + kept + more)
    log.grow(kept)
    assert isinstance(judge(HOME, {log.id: held(log)}, answer(other, log.size)), AnswerRejection)


def fork_of_the_same_size(log: LoggedProcess) -> CheckpointAnswer:
    return answer(log.forked(3, log.size - 3), log.size)


def shrunk(log: LoggedProcess) -> CheckpointAnswer:
    return answer(log.forked(4, 1), 0, known=log.size)


def without_proof(log: LoggedProcess) -> CheckpointAnswer:
    size = log.size
    return answer(log.grow(), size, proof=())


def proof_of_something_else(log: LoggedProcess) -> CheckpointAnswer:
    size = log.size
    return answer(log.grow(5), size, proof=tuple(LoggedProcess(size + 5).proof(size)))


def test_a_chain_is_refused_for_two_checkpoints_of_its_process_that_cannot_both_be_true() -> None:
    log = LoggedProcess(9)
    known = {log.id: held(log)}
    why = "two different logs of 9 lines were signed"
    assert judge(HOME, known, fork_of_the_same_size(log)) == LogContradiction(log.id, why)


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (shrunk, "has 5 lines and had 9"),
        (without_proof, "of 10 lines, is not proven to continue the 9 that were witnessed"),
        (proof_of_something_else, "of 14 lines, is not proven to continue the 9 that were witnessed"),
    ],
)
def test_what_somebody_in_between_could_have_kept_or_spoilt_refuses_itself_and_no_chain(
    lie: Callable[[LoggedProcess], CheckpointAnswer], why: str
) -> None:
    log = LoggedProcess(9)
    known = {log.id: held(log)}
    found = judge(HOME, known, lie(log))
    assert isinstance(found, AnswerRejection)
    assert why in found.why
    # The process itself goes on from what was witnessed.
    assert isinstance(judge(HOME, known, answer(log.grow(), 9)), Cosignable)


def test_a_chain_that_is_refused_stays_refused_whatever_comes() -> None:
    log = LoggedProcess(9)
    one = held(log)
    one = HeldChain(one.entry._replace(refused=ChainRefusal("why", "2026-11-27T10:00:00Z", "")), one.cosigned)
    assert judge(HOME, {log.id: one}, answer(log.grow(), 9)) == ChainRefused(log.id)


def forged(log: LoggedProcess) -> CheckpointAnswer:
    return answer(log, note=log.note().replace("\n9\n", "\n8\n"))


def signed_by_another(log: LoggedProcess) -> CheckpointAnswer:
    log.signer = Ed25519PrivateKey.generate()
    return answer(log, 9)


def of_another_installation(log: LoggedProcess) -> CheckpointAnswer:
    return answer(LoggedProcess(9, installation="elsewhere"))


def key_of_another_name(log: LoggedProcess) -> CheckpointAnswer:
    text = Checkpoint.parse(log.note()).text()
    key = verifier_key("somebody", SignatureType.ED25519, log.signer)
    return answer(log, note=sign_note(text, "somebody", log.signer), key=str(key))


def with_more_in_it(log: LoggedProcess) -> CheckpointAnswer:
    return answer(log, note=sign_note(Checkpoint.parse(log.note()).text() + "more\n", log.origin, log.signer))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (forged, "does not verify"),
        (signed_by_another, "is signed by another key than the one that was seen first"),
        (of_another_installation, "the log is of the installation elsewhere, not of bailiwick-system"),
        (key_of_another_name, "the key is not named after the log"),
        (with_more_in_it, "the checkpoint says more than a checkpoint does"),
        (lambda log: answer(log, note="nothing"), "not a signed note"),
        (lambda log: answer(log, key="nothing"), "not a key of signed notes"),
    ],
)
def test_an_answer_that_anybody_could_have_made_up_refuses_itself_and_no_chain(
    made: Callable[[LoggedProcess], CheckpointAnswer], why: str
) -> None:
    log = LoggedProcess(9)
    known = {log.id: held(log)}
    verdict = judge(HOME, known, made(log))
    assert isinstance(verdict, AnswerRejection)
    assert why in verdict.why


def test_an_answer_that_is_older_than_what_another_leader_stored_says_nothing() -> None:
    log = LoggedProcess(9)
    late = answer(log, 5)
    assert judge(HOME, {log.id: held(log.grow(3))}, late) == OtherSize(log.id)


def test_a_proof_from_another_size_than_the_one_held_is_asked_for_anew() -> None:
    log = LoggedProcess(9)
    known = {log.id: held(log)}
    log.grow(3)
    assert judge(HOME, known, answer(log, 5)) == OtherSize(log.id)
    assert judge(HOME, {}, answer(log, 5)) == OtherSize(log.id)


def test_an_unchanged_log_is_cosigned_again_after_a_minute_and_after_the_clock_was_set_back() -> None:
    log = LoggedProcess(9)
    before = held(log, time=1000)
    now = before.cosigned.checkpoint
    assert [is_due(before, now, at) for at in (1000, 1059, 1060, 999)] == [False, False, True, True]
    assert is_due(before, now._replace(size=10), 1000)
    # As one is that was just seen for the first time.
    assert is_due(replace(before, cosigned=before.cosigned._replace(time=0)), now, 1000)


def test_a_chain_is_over_ten_minutes_after_its_process_went_and_never_while_it_is_there() -> None:
    first, second = held(LoggedProcess(2), time=1000), held(LoggedProcess(3), time=1000)
    chains = {one.entry.chain: one for one in (first, second)}
    a, b = chains
    assert finished_chains(chains, {"uid-p1"}, {}, 9999) == {}
    assert finished_chains(chains, {"uid-p1"}, {"uid-p1": b}, 9999) == {a: first}
    assert finished_chains(chains, set(), {}, 1599) == {}
    assert finished_chains(chains, set(), {}, 1600) == chains


def test_what_this_process_stored_and_does_not_find_is_told() -> None:
    log = LoggedProcess(9)
    mine = held(log)
    refused = HeldChain(mine.entry._replace(refused=ChainRefusal("w", "t", "n")), mine.cosigned)
    assert lost_chains({log.id: mine}, {}) == {log.id: "it was removed"}
    assert lost_chains({log.id: refused}, {log.id: mine}) == {log.id: "it was refused, and that was removed"}
    later = held(log.grow())
    assert lost_chains({log.id: later}, {log.id: mine}) == {log.id: "it was set back from 10 lines to 9"}
    assert lost_chains({log.id: mine}, {log.id: later}) == {}


def test_two_leaders_to_whom_a_process_told_two_stories_find_it_out() -> None:
    log = LoggedProcess(9)
    other = log.forked(3, 6)
    assert contradicting_chains({log.id: held(log)}, {log.id: held(log)}) == {}
    assert contradicting_chains({log.id: held(log)}, {log.id: held(other)}) == {
        log.id: "two different logs of 9 lines were signed"
    }


def test_of_two_chains_of_a_pod_the_one_that_was_heard_of_last_is_asked_for() -> None:
    first, second = held(LoggedProcess(2), time=2000), held(LoggedProcess(3), time=1000)
    assert newest_chains({one.entry.chain: one for one in (first, second)}) == {"uid-p1": first.entry.chain}


def test_signatures_of_others_are_left_out_of_what_is_stored() -> None:
    log = LoggedProcess(2)
    more = cosign_note(log.note(), "somebody/else", Ed25519PrivateKey.generate(), 1)
    assert plain_note(answer(log, note=more)) == log.note()


@pytest.mark.parametrize(
    ("before", "told", "after"),
    [(None, None, None), (None, 0, 0), (None, 4, 4), (4, None, 4), (4, 3, 4), (4, 4, 4), (4, 5, 5), (0, 0, 0)],
)
def test_what_a_process_said_it_lost_is_kept_and_never_grows_less(
    before: int | None, told: int | None, after: int | None
) -> None:
    one = held(LoggedProcess(3))
    kept = with_losses(replace(one, entry=one.entry._replace(lost=before)), told)
    assert kept.entry.lost == after
    assert replace(kept, entry=kept.entry._replace(lost=None)) == one
