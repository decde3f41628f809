"""docs/how-to/audit.md, typed as it stands: kubectl is one that has only what an auditor gets, and our plugin."""

import hashlib
import json
import re
from datetime import UTC, datetime
from textwrap import dedent
from typing import Any, Final

import pytest
import yaml
from msgspec.structs import replace

from bailiwick_engine.call import Action
from bailiwick_webhook.record.seals import ValueSealer
from support.derivations import texts_of
from support.evidence.logs import BEGAN, WITNESS_KEY, ProcessLog
from support.evidence.tilelogs import CLUSTERS, EAST, EAST_KEY, WEST, WEST_KEY, process_log
from support.objects import rule, settings
from support.offlineshell import OfflineShell
from support.pages import DOCS, needs
from unit.engine.cases import CALL
from unit.webhook.record.everymember import lines, stored

PAGE: Final = (DOCS / "how-to" / "audit.md").read_text(encoding="utf-8")
BLOCKS: Final = [dedent(body) for body in re.findall(r"^ *```sh\n(.*?)^ *```$", PAGE, re.MULTILINE | re.DOTALL)]
MARCH: Final = datetime(2026, 3, 5, 9, tzinfo=UTC).timestamp() - BEGAN
RECORD_KEY: Final = b"k" * 32
KUBECTL: Final = """#!/bin/bash
case "$1 $2 $*" in
  bailiwick*) shift; exec {python} -P -m bailiwick_cli "$@" ;;
  "get configmap "*) cat witness.vkey.held ;;
  "get configmaps "*) cat checkpoints.held ;;
  *component=webhook*) cat decisions.held ;;
  *component=operator*) cat ledger.held ;;
  *) exit 9 ;;
esac
"""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> OfflineShell:
    """What a cluster holds: two processes' records, the ledger, and the ConfigMap of the witness."""
    folder = tmp_path_factory.mktemp("audit")
    stands = stored("crm-agent", endpointSettings=settings(), rules=[rule()])
    ((digest, text),) = texts_of([stands["spec"]])._texts.items()
    one, ledger = ProcessLog(2, seconds=MARCH), ProcessLog(4, seconds=MARCH, component="operator")
    one.records(3)
    told: dict[str, Any] = {
        "evaluation_id": "0198c1f0-export",
        "decision": True,
        "action": "customers.export",
        "subject": {"type": "service_account", "id": "system:serviceaccount:agents:crm-agent"},
        "resource": {"type": "customer", "id": "42"},
        "grant": {"name": "agr-k3v9", "uses": 1},
        "attributes": {"context.iban": ValueSealer(RECORD_KEY).seal("context.iban", "DE89370400440532013000")},
        "policy": {"name": "crm-agent", "rule": "export", "digest": digest},
    }
    one.add(**told)
    one.add(**told | {"evaluation_id": "denied", "decision": False, "grant": None, "policy": None})
    one.records(2)
    (decided,) = lines(stands, call=replace(CALL, action=Action("customers.list")))
    one.add(**decided)
    other = ProcessLog(3, seconds=MARCH + 100).records(4).close()
    ledger.add(kind="policy", digest=digest, policy="crm/crm-agent", text=text.decode())
    ledger.add(kind="grant", namespace="crm", name="agr-k3v9", phase="Consumed", counted=["jane"])
    for process in (one, other):
        ledger.add(kind="checkpoint", note=process.checkpoint())
    one.add(kind="ledger", note=ledger.checkpoint())
    data = {log.id: json.dumps({"pod": "p", "key": "k", "checkpoint": log.checkpoint()}) for log in (one, other)}
    maps = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "ConfigMap", "data": data}]}
    (folder / "checkpoints.held").write_text(yaml.safe_dump(maps))
    (folder / "decisions.held").write_bytes(
        b"".join(one.lines) + b"a line of the process itself\n" + b"".join(other.lines)
    )
    (folder / "ledger.held").write_bytes(b"".join(ledger.lines))
    for number, key, private in ((12, EAST_KEY, EAST), (14, WEST_KEY, WEST)):
        log, book = process_log(number).records(4).close(), process_log(number + 1, component="operator")
        book.add(kind="checkpoint", note=log.checkpoint(by=private))
        name = CLUSTERS[key]
        (folder / f"{name}.log").write_bytes(b"".join([*log.lines, *book.close().lines]))
        (folder / f"{name}.vkey").write_text(f"{key}\n")
    (folder / "record.key").write_bytes(RECORD_KEY)
    (folder / "witness.vkey.held").write_text(f"{WITNESS_KEY}\n")
    assert "sha256:" + hashlib.sha256(text).hexdigest() == digest
    return OfflineShell(folder, KUBECTL)


def typed(shell: OfflineShell, beginning: str, *, after: str = "") -> str:
    """Type the block that begins so, and return what it prints; it must succeed."""
    (block,) = (one for one in BLOCKS if one.startswith(beginning) and after in one)
    ran = shell.type(block)
    assert ran.code == 0, (block, ran)
    return ran.out


@needs("jq")
def test_the_page_can_be_typed_from_the_top_to_the_end(shell: OfflineShell) -> None:
    ran = [
        typed(shell, "kubectl get configmap bailiwick-witness"),
        typed(shell, "kubectl logs"),
        typed(shell, "kubectl get configmaps"),
    ]
    said = typed(shell, "kubectl bailiwick audit verify", after="checkpoints.yaml --witness-key witness.vkey\n")
    assert said.startswith("Nothing removed or changed up to 2023-11-14T22:13:")
    assert "in no chain: 1." in said
    # The others stand in for records, with what the page looks for and no more.
    derived = typed(shell, "kubectl bailiwick audit verify", after="--policies")
    assert "12 decisions: 1 derived, 1 underivable:record_unreadable, 10 unproven:record_unreadable" in derived
    assert typed(shell, "kubectl bailiwick audit verify", after="jq -r") == ""
    assert typed(shell, "kubectl bailiwick audit report") == ""
    assert "<title>Audit report: intact</title>" in (shell.folder / "march.html").read_text(encoding="utf-8")
    assert typed(shell, "kubectl bailiwick audit checkpoint") == ""
    assert typed(shell, "kubectl bailiwick audit verify", after="kept.notes") == said
    said = typed(shell, "kubectl bailiwick audit verify", after="east.log west.log")
    assert [(name, said.count(f" of {name}: intact")) for name in ("east", "west")] == [("east", 1), ("west", 1)]
    assert typed(shell, "kubectl bailiwick audit leaves") == ""
    assert "nothing removed but 2 lines whose leaves you gave" in typed(shell, "sed")
    (row,) = typed(shell, "cat decisions.log").splitlines()
    assert row.split("\t")[1:] == [
        "system:serviceaccount:agents:crm-agent",
        "customer",
        "42",
        "agr-k3v9",
        "0198c1f0-export",
    ]
    said = typed(shell, "kubectl bailiwick audit grant")
    assert "phase: Consumed" in said
    assert "policy: crm/crm-agent" in said
    said = typed(shell, "kubectl bailiwick audit check-value")
    assert said == "context.iban: the record has the seal of this value\n"
    assert typed(shell, "kubectl bailiwick audit prove") == ""
    assert typed(shell, "kubectl bailiwick audit check-proof").startswith("proven: line 4 of the log bailiwick/5a1e/")
    assert ran == ["", "", ""]


def test_every_block_of_the_page_is_typed_here() -> None:
    assert len(BLOCKS) == 17
