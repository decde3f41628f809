"""What a log lost is the word of its own process: another may show its checkpoint, which is no secret."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from bailiwick_evidence.chainentry import ChainRefusal
from bailiwick_operator.evidence.ledger import OperatorLedger
from bailiwick_operator.evidence.store import StoredChains
from bailiwick_operator.evidence.witness import Witness, WitnessParts
from bailiwick_operator.programmed.replicas import ListedReplicas
from bailiwick_operator.reconcile.witness import HeldChain
from support.logs import LoggedProcess
from unit.operator.cases import INSTALLATION, right_clock
from unit.operator.fakeapi import FakeApi
from unit.operator.reconcile.test_witness_rules import answer, held

OWN, OTHER = "uid-p1", "uid-p2"
REFUSAL: Final = ChainRefusal("2026-11-27T10:00:00Z", "it contradicts itself", "note")


def as_it_is(one: HeldChain) -> HeldChain:
    return one


def refused(one: HeldChain) -> HeldChain:
    return replace(one, entry=one.entry._replace(refused=REFUSAL))


@pytest.mark.parametrize("state", [as_it_is, refused])
@pytest.mark.parametrize(("teller", "lost"), [(OWN, 7), (OTHER, None)])
async def test_of_a_log_only_its_own_process_tells_what_was_lost(
    state: Callable[[HeldChain], HeldChain], teller: str, lost: int | None
) -> None:
    clock, log = right_clock(), LoggedProcess(9)
    ledger = OperatorLedger("bailiwick-system", len, clock.local_now)
    parts = WitnessParts(FakeApi().client, ListedReplicas(()), cast("Any", None), ledger)
    witness = Witness(parts, INSTALLATION, interval=10, now=clock.local_now, tell=lambda _told: None)
    # Cosigned just now, so that nothing is to be signed.
    chains = {log.id: state(held(log, time=int(clock.local_now().timestamp()), replica=OWN))}
    said = answer(log, replica=teller, lost=7)
    keys = cast("Any", SimpleNamespace())
    await witness._judge(keys, chains, StoredChains(None, {}, {}), [(cast("Any", None), said)])
    assert chains[log.id].entry.lost == lost
