"""An attacker's guide: what each attack on the log leaves, and who sees it. docs/concepts/evidence.md says the same.

The log is that of a real decision point, but where its key is what is abused: that never leaves its memory.
"""

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import requests
import yaml
from joserfc.jwk import ECKey

from bailiwick_evidence.audit.claims import ShownCheckpoint, WitnessBook
from bailiwick_evidence.audit.findings import ChainReport
from bailiwick_evidence.base64text import decode_base64
from bailiwick_evidence.chain import ChainWriter, body, link
from bailiwick_evidence.checkpoint import Checkpoint
from bailiwick_evidence.linekinds import DECISIONS
from bailiwick_evidence.merkle import Forest, consistency, is_consistent, leaf_hash, root
from bailiwick_evidence.note import VerifierKey, cosign_note, open_note
from support import commandline
from support.derivations import texts_of
from support.evidence.attacks import ATTACKS, table
from support.evidence.logs import (
    BEGAN,
    WITNESS,
    WITNESS_KEY,
    WITNESS_NAME,
    ProcessLog,
    audited,
    audited_by,
    places,
    private_key,
    rewritten,
)
from support.evidence.tilelogs import CLUSTERS, EAST, WEST, process_log
from support.objects import AGENT, gated_rule, policy, rule, settings
from support.pages import DOCS
from support.pdp import omission
from support.pdp.standalone import Process
from support.waits import until
from unit.webhook.identity.forgery import compact, signing

CALLS: Final = 6
CLUSTER: Final = "https://kubernetes.default.svc"
ENFORCER: Final = "system:serviceaccount:crm:crm-api"
KEY: Final = ECKey.generate_key("P-256", {"kid": "one"})


@dataclass(frozen=True)
class RealLog:
    """What a decision point wrote, and the checkpoints of it that were cosigned while it ran.

    `decided`: how many decisions it counted.
    """

    lines: list[bytes]
    notes: list[str]
    spec: object
    decided: int

    @property
    def text(self) -> bytes:
        return b"".join(self.lines)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> RealLog:
    """Run a decision point, ask it, and witness it twice, as the operator does."""
    folder = tmp_path_factory.mktemp("real")
    policies = folder / "policies"
    policies.mkdir()
    obj = policy("crm", "crm-agent", endpointSettings=settings(), rules=[rule(), gated_rule()])
    (policies / "crm.yaml").write_text(yaml.safe_dump(obj, sort_keys=False))
    notes: list[str] = []
    with (folder / "log").open("wb") as log:
        point = Process(folder, policies, log, "--issuers", issuers(folder))
        for _ in range(2):
            for _ in range(CALLS):
                asked: dict[str, Any] = {"token": token(ENFORCER, "bailiwick"), "context": agents()}
                assert point.ask(**asked).decision is True
                assert point.ask("customers.unheard", **asked).decision is False
            before = 0 if not notes else Checkpoint.parse(notes[-1].partition("\n\n")[0] + "\n").size
            size = before + 2 * CALLS
            until(partial(lambda size: point.records.read_bytes().count(b"\n") >= size, size), "written", 5)
            notes.append(witnessed(point, before, notes))
        decided = counted(point)
        assert point.stop() == 0
    return RealLog(point.records.read_bytes().splitlines(keepends=True), notes, obj["spec"], decided)


def issuers(folder: Path) -> str:
    """Write who may sign tokens: the cluster, with the key of these tests."""
    (folder / "keys.json").write_text(json.dumps({"keys": [KEY.as_dict(private=False)]}))
    known = [{"name": "cluster", "issuer": CLUSTER, "jwksFile": "keys.json"}]
    (folder / "issuers.yaml").write_text(yaml.safe_dump({"issuers": known}))
    return str(folder / "issuers.yaml")


def token(username: str, audience: str) -> str:
    """Return a token as the cluster issues it."""
    now = time.time()
    claims = {"iss": CLUSTER, "sub": username, "aud": [audience], "iat": now - 1, "exp": now + 3600}
    account = {"serviceaccount": {"name": "x", "uid": f"{username}-uid"}}
    return compact({"alg": "ES256", "kid": KEY.kid}, {**claims, "kubernetes.io": account}, signing(KEY, "ES256"))


def agents() -> dict[str, Any]:
    """Return the context with the agent's own token."""
    return {"evidence": {"subject_token": token(AGENT, "crm-api.crm")}}


def witnessed(point: Process, size: int, notes: Sequence[str]) -> str:
    """Ask a process for its checkpoint, verify it as a witness must, and cosign it."""
    said = requests.get(f"http://127.0.0.1:{point.status_port}/checkpoint?from={size}", timeout=5).json()
    found = Checkpoint.parse(open_note(said["checkpoint"], [VerifierKey.parse(said["key"])]).text)
    if notes:
        before = Checkpoint.parse(notes[-1].partition("\n\n")[0] + "\n")
        proof = [decode_base64(one) or b"" for one in said["proof"]]
        assert is_consistent(before.size, before.root, found.size, found.root, proof)
    return cosign_note(said["checkpoint"], WITNESS_NAME, WITNESS, int(time.time()))


def counted(point: Process) -> int:
    """Return how many decisions a process counted."""
    said = requests.get(f"http://127.0.0.1:{point.status_port}/metrics", timeout=5).text
    return sum(
        int(float(value)) for value in re.findall(r"^bailiwick_decisions_total\{.*\} (\S+)$", said, re.MULTILINE)
    )


def recorded(lines: Sequence[bytes]) -> int:
    """Return how many decisions are on record."""
    return sum(json.loads(line)["kind"] in DECISIONS for line in lines)


def verified(lines: Sequence[bytes], notes: Sequence[str]) -> ChainReport:
    """Return the report of the only chain."""
    _, (report,) = audited([b"".join(lines)], notes)
    return report


def bad(lines: Sequence[bytes], notes: Sequence[str]) -> list[str]:
    """Return the findings that are no notes."""
    report = verified(lines, notes)
    return [found.place for found in report.findings if found.bad]


def attack(name: str) -> str:
    """Return what a row says is seen."""
    return ATTACKS[name].seen.partition("`")[2].partition("`")[0]


def denied(line: bytes) -> bytes:
    """Return a record with the other verdict."""
    changed = line.replace(b'"decision":true', b'"decision":false')
    return changed if changed != line else line.replace(b'"decision":false', b'"decision":true')


class TestWithTheRecordFile:
    def test_nothing_is_found_where_nothing_was_done(self, real: RealLog, tmp_path: Path) -> None:
        report = verified(real.lines, real.notes)
        assert (report.intact, report.closed, report.bad) == (True, True, False), report
        assert 2 * CALLS < (report.witnessed or 0) <= len(real.lines)
        (tmp_path / "log").write_bytes(real.text)
        (tmp_path / "notes").write_text("\n".join(real.notes))
        flags = ["--checkpoints", str(tmp_path / "notes"), "--witness-key", str(WITNESS_KEY)]
        ran = commandline.run("audit", "verify", str(tmp_path / "log"), *flags)
        assert (ran.code, "Nothing removed or changed up to " in ran.out) == (0, True), ran

    def test_a_record_is_edited(self, real: RealLog) -> None:
        lines = [*real.lines[:5], denied(real.lines[5]), *real.lines[6:]]
        assert bad(lines, real.notes) == [f"{attack('edit')} at 5"]

    def test_records_are_cut_from_the_end(self, real: RealLog) -> None:
        size = verified(real.lines, real.notes).witnessed or 0
        assert bad(real.lines[: size - 3], real.notes) == [f"{attack('cut')} {size - 3}-{size - 1}"]

    def test_records_are_taken_out(self, real: RealLog) -> None:
        assert bad([*real.lines[:5], *real.lines[8:]], real.notes) == [f"{attack('take out')} 5-7"]

    def test_the_log_is_dropped(self, real: RealLog) -> None:
        other = ProcessLog(7).records(3).close()
        _, reports = audited([b"".join(other.lines)], [*real.notes, other.checkpoint()])
        assert [places(report) for report in reports] == [[attack("drop")], []]
        assert "but none of them is here" in reports[0].findings[0].said

    def test_a_record_is_edited_and_all_hashes_are_made_anew(self, real: RealLog) -> None:
        lines = rewritten([*real.lines[:5], denied(real.lines[5]), *real.lines[6:]])
        first, second = (Checkpoint.parse(note.partition("\n\n")[0] + "\n").size for note in real.notes)
        assert bad(lines, real.notes) == [f"{attack('anew')} 0-{first - 1}"]
        later = rewritten([*real.lines[: first + 1], denied(real.lines[first + 1]), *real.lines[first + 2 :]])
        assert bad(later, real.notes) == [f"altered {first}-{second - 1}"]

    def test_the_end_is_cut_and_the_process_starts_again(self, real: RealLog, tmp_path: Path) -> None:
        # A real process goes into the same file: it opens a chain of its own, and names what it found.
        policies = tmp_path / "policies"
        policies.mkdir()
        (policies / "crm.yaml").write_text(
            yaml.safe_dump(policy("crm", "p", endpointSettings=settings(), rules=[rule()]))
        )
        (tmp_path / "records.jsonl").write_bytes(b"".join(real.lines[:6]))
        with (tmp_path / "log").open("wb") as log:
            point = Process(tmp_path, policies, log)
            assert point.ask().decision is True
            until(lambda: point.records.read_bytes().count(b"\n") >= 8, "written", 5)
            note = witnessed(point, 0, [])
            assert point.stop() == 0
        _, reports = audited([point.records.read_bytes()], [*real.notes, note])
        found = {report.chain: [one.code.value for one in report.findings if one.bad] for report in reports}
        one = link(real.lines[0])
        assert one is not None
        assert found.pop(one.id) == [attack("restart")]
        assert list(found.values()) == [[]]

    def test_records_are_copied(self, real: RealLog) -> None:
        attack("repeat")
        report = verified([*real.lines, *real.lines[3:6]], real.notes)
        assert (report.repeated, report.bad) == (3, False)

    def test_a_log_is_invented_and_another_one_that_names_it(self, real: RealLog, tmp_path: Path) -> None:
        # A real process names what it finds in the file: the invented log is no better for that.
        forged = ProcessLog(66).records(20).close()
        policies = tmp_path / "policies"
        policies.mkdir()
        (policies / "crm.yaml").write_text(
            yaml.safe_dump(policy("crm", "p", endpointSettings=settings(), rules=[rule()]))
        )
        (tmp_path / "records.jsonl").write_bytes(b"".join(forged.lines))
        with (tmp_path / "log").open("wb") as log:
            point = Process(tmp_path, policies, log)
            until(lambda: point.records.read_bytes().count(b"\n") > len(forged.lines), "written", 5)
            note = witnessed(point, 0, [])
            assert point.stop() == 0
        _, reports = audited([point.records.read_bytes(), real.text], [*real.notes, note])
        found = {report.chain: [one.code.value for one in report.findings if one.bad] for report in reports}
        assert found.pop(forged.id) == [attack("invent")]
        assert list(found.values()) == [[], []]

    def test_a_log_of_a_few_seconds_is_invented(self, real: RealLog) -> None:
        forged = ProcessLog(66).records(5).close()
        _, reports = audited([b"".join(forged.lines), real.text], real.notes)
        found = {report.chain: places(report) for report in reports}
        assert found.pop(forged.id) == [attack("invent brief")]
        assert [report.bad for report in reports] == [False, False]

    def test_a_checkpoint_of_a_ledger_is_sent_that_the_operator_did_not_cosign(self, tmp_path: Path) -> None:
        policies = tmp_path / "policies"
        policies.mkdir()
        (policies / "crm.yaml").write_text(
            yaml.safe_dump(policy("crm", "p", endpointSettings=settings(), rules=[rule()]))
        )
        forged = ProcessLog(66, component="operator").records(20)
        with (tmp_path / "log").open("wb") as log:
            point = Process(tmp_path, policies, log, "--development", "--witness-wait-seconds", "0")
            port = f"http://127.0.0.1:{point.status_port}"
            for number in range(9):
                sent = {"from": 0, "ledger": forged.signed(forged.lines[:number])}
                answer = requests.post(f"{port}/checkpoint", json=sent, timeout=5)
                assert (answer.status_code, "refused" in answer.json()) == (200, True)
            assert f"{attack('forge note')} 9.0\n" in requests.get(f"{port}/metrics", timeout=5).text
            assert point.stop() == 0
        assert b'"kind":"ledger"' not in point.records.read_bytes()

    def test_records_are_added(self) -> None:
        process = ProcessLog().records(5)
        added = ProcessLog().records(5)
        added.add(evaluation_id="false", decision=True)
        attack("append dead")
        assert places(verified(added.lines, [process.checkpoint()])) == ["tail at 6", "unclosed"]
        process.records(3)
        assert bad([*added.lines, *process.lines[6:]], [process.checkpoint()]) == [f"{attack('append')} at 6"]

    def test_two_readers_are_shown_two_stories(self, real: RealLog) -> None:
        other = rewritten([*real.lines[:5], denied(real.lines[5]), *real.lines[6:]])
        assert bad([*real.lines, *other], real.notes) == [f"{attack('two stories')} 5-{len(real.lines) - 1}"]
        assert bad(other, real.notes)[0].startswith("altered ")


class TestWithTheRightsOfTheDecisionPoint:
    def story(self) -> tuple[ProcessLog, list[bytes]]:
        process = ProcessLog().records(8)
        return process, rewritten([*process.lines[:4], denied(process.lines[4]), *process.lines[5:]])

    def test_what_the_witness_has_not_seen_is_rewritten(self) -> None:
        process, anew = self.story()
        attack("unseen")
        assert ATTACKS["unseen"].seen == "nothing"
        assert bad(anew, [process.checkpoint(3)]) == []

    def test_another_story_is_signed_for_the_witness(self) -> None:
        # The operator's part, with a real cluster, is shown by the tests of the witness.
        process, anew = self.story()
        attack("sign anew")
        leaves = [leaf_hash(line[:-1]) for line in anew]
        before, since = Forest(), Forest(6)
        for leaf in leaves[:6]:
            before.append(leaf)
        for leaf in leaves[6:]:
            since.append(leaf)
        proof = consistency(before, since)
        held = root(leaf_hash(line[:-1]) for line in process.lines[:6])
        assert is_consistent(6, before.root, len(leaves), root(leaves), proof)
        assert not is_consistent(6, held, len(leaves), root(leaves), proof)

    def test_a_checkpoint_without_a_witness_is_handed_over(self) -> None:
        process, anew = self.story()
        attack("own checkpoint")
        audit, (report,) = audited([b"".join(anew)], [process.signed(anew), process.checkpoint()])
        assert audit.book.refused == 1
        assert [found.place for found in report.findings if found.bad] == ["altered 0-8"]

    def test_another_verdict_than_that_of_the_policies_is_recorded(self, real: RealLog, tmp_path: Path) -> None:
        attack("false verdict")
        writer, lines = ChainWriter(json.loads(real.lines[0])["log"]["id"]), []
        for index, line in enumerate(real.lines):
            record = json.loads(body(line))
            if index == 3:
                record |= {"decision": not record["decision"], "reason": "allowed", "action_id": 1, "disposition_id": 1}
            lines.append(writer.append(json.dumps(record, separators=(",", ":")).encode() + b"\n"))
        (tmp_path / "log").write_bytes(b"".join(lines))
        (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy("crm", "crm-agent", **dict(real.spec))))  # type: ignore[call-overload]  # a spec
        ran = commandline.run("audit", "verify", str(tmp_path / "log"), "--policies", str(tmp_path / "policy.yaml"))
        assert (ran.code, "1 contradicted" in ran.out) == (1, True), ran
        (tmp_path / "log").write_bytes(real.text)
        ran = commandline.run("audit", "verify", str(tmp_path / "log"), "--policies", str(tmp_path / "policy.yaml"))
        assert f"{4 * CALLS} decisions: {4 * CALLS} derived" in ran.out, ran

    def test_an_allow_is_recorded_by_policies_that_no_ledger_has_or_of_another_version(
        self, real: RealLog, tmp_path: Path
    ) -> None:
        attack("unknown policies")
        (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy("crm", "crm-agent", **dict(real.spec))))  # type: ignore[call-overload]  # a spec
        allow = {"decision": True, "reason": "allowed", "action_id": 1, "disposition_id": 1}
        digest = f"sha256:{0:064}"
        for opening, changes in (({"engine": "99"}, {}), ({}, {"policies": {"crm-agent": digest}, "policy": None})):
            writer, lines = ChainWriter(json.loads(real.lines[0])["log"]["id"]), []
            for index, line in enumerate(real.lines):
                record = json.loads(body(line)) | (opening if index == 0 else {})
                if not index or (record["kind"] in DECISIONS and record["decision"] is False):
                    record |= allow | changes if index else {}
                    lines.append(writer.append(json.dumps(record, separators=(",", ":")).encode() + b"\n"))
            (tmp_path / "log").write_bytes(b"".join(lines))
            words = ["audit", "verify", str(tmp_path / "log"), "--policies", str(tmp_path / "policy.yaml")]
            ran = commandline.run(*words)
            assert f"{2 * CALLS} decisions: {2 * CALLS} unproven:" in ran.out, ran
            assert commandline.run(*words, "--fail-on", "unproven").code == 1

    def test_a_record_is_left_out(self, real: RealLog, tmp_path: Path) -> None:
        assert attack("leave out") == "bailiwick_decisions_total"
        assert real.decided == recorded(real.lines) == 4 * CALLS
        policies = tmp_path / "policies"
        policies.mkdir()
        (policies / "crm.yaml").write_text(
            yaml.safe_dump(policy("crm", "p", endpointSettings=settings(), rules=[rule()]))
        )
        with (tmp_path / "log").open("wb") as log:
            point = Process(tmp_path, policies, log, command=(sys.executable, str(Path(omission.__file__))))
            assert [point.ask(f"customers.{what}").decision for what in ("list", "unheard")] == [True, False]
            until(lambda: point.records.read_bytes().count(b"\n") >= 2, "written", 5)
            notes, decided = [witnessed(point, 0, [])], counted(point)
            assert point.stop() == 0
        lines = point.records.read_bytes().splitlines(keepends=True)
        # The log is whole, and says nothing of it.
        assert bad(lines, notes) == []
        assert (decided, recorded(lines)) == (2, 1)


class TestWithTheRightsOfTheOperator:
    def test_another_story_is_cosigned(self) -> None:
        process = ProcessLog().records(8)
        anew = rewritten([*process.lines[:4], denied(process.lines[4]), *process.lines[5:]])
        note = cosign_note(process.signed(anew, private_key(9)), WITNESS_NAME, WITNESS, BEGAN)
        assert bad(anew, [note]) == [attack("cosign anew")]

    def test_the_checkpoints_are_set_back_and_the_log_is_cut_to_them(self) -> None:
        process = ProcessLog().records(8)
        assert bad(process.lines[:5], [process.checkpoint(5)]) == []
        ledger = ProcessLog(4, component="operator")
        ledger.add(kind="checkpoint", note=process.checkpoint())
        ledger.close()
        _, reports = audited([b"".join(process.lines[:5]), b"".join(ledger.lines)], [process.checkpoint(5)])
        assert places(reports[0]) == [f"{attack('set back')} 5-8", "unclosed"]

    def test_the_log_of_another_cluster_is_cosigned(self) -> None:
        process = process_log().records(8).close()
        for clusters, found in (({}, []), (CLUSTERS, [attack("another cluster")])):
            book = WitnessBook(tuple(CLUSTERS), clusters=clusters)
            for by in (EAST, WEST):
                book.add(ShownCheckpoint(process.checkpoint(by=by)))
            (report,) = audited_by(book, [b"".join(process.lines)])
            assert places(report) == found

    def test_the_ledger_is_cut(self) -> None:
        ledger, process = ProcessLog(4, component="operator").records(9), ProcessLog(3)
        process.add(kind="ledger", note=ledger.checkpoint())
        process.close()
        _, reports = audited([b"".join([*process.lines, *ledger.lines[:5]])], [process.checkpoint()])
        assert places(reports[0]) == [f"{attack('ledger')} 5-9", "unclosed"]

    def test_the_text_of_a_policy_is_edited(self, tmp_path: Path, real: RealLog) -> None:
        ledger, process = ProcessLog(4, component="operator"), ProcessLog(3)
        (digest, text) = next(iter(texts_of([real.spec])._texts.items()))
        ledger.add(kind="policy", digest=digest, policy="crm/crm-agent", text=text.decode())
        ledger.records(2)
        process.add(kind="ledger", note=ledger.checkpoint())
        process.close()
        lines = [ledger.lines[0], ledger.lines[1].replace(b"customers.list", b"customers.lost"), *ledger.lines[2:]]
        _, reports = audited([b"".join([*process.lines, *lines])], [process.checkpoint()])
        assert places(reports[0]) == [f"{attack('policy text')} at 1", "unclosed"]
        (tmp_path / "ledger").write_bytes(b"".join(lines))
        ran = commandline.run("audit", "policy", digest, str(tmp_path / "ledger"))
        assert (ran.code, "does not have the digest" in ran.err) == (1, True)


def test_with_the_rights_of_both_all_is_rewritten() -> None:
    process = ProcessLog().records(8)
    anew = rewritten([*process.lines[:4], denied(process.lines[4]), *process.lines[5:]])
    second = cosign_note(process.signed(anew), WITNESS_NAME, WITNESS, BEGAN + 50)
    assert bad(anew, [second]) == []
    assert attack("all") in bad(anew, [second, process.checkpoint()])


def test_the_page_says_the_same_and_every_row_was_shown() -> None:
    page = (DOCS / "concepts/evidence.md").read_text(encoding="utf-8")
    section = page.partition("## What an attacker leaves")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert rows[2:] == table()
    own = Path(__file__).read_text(encoding="utf-8")
    assert set(re.findall(r"""\battack\(["']([a-z ]+)["']\)""", own)) == ATTACKS.keys()
