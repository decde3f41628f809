"""`audit` on files, as people have them: what it prints, in which shape, and with which exit code."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from bailiwick_engine.signatures.passkeyorigins import LOCAL_CONSOLES
from bailiwick_evidence.note import SignatureType, VerifierKey, cosign_note, verifier_key
from support import commandline
from support.commandline import Ran
from support.evidence.logs import BEGAN, WITNESS_KEY, ProcessLog, notes_of, private_key, written
from support.objects import Object
from support.signatures.keys import ORIGIN, RP_ID, KeyFile
from support.signatures.logs import DAVES, LINE, approved, published, used


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two processes' logs, the ledger, the witness's checkpoints and its key."""
    one, other, ledger = (
        ProcessLog(2).records(10).close(),
        ProcessLog(3).records(4),
        ProcessLog(4, component="operator"),
    )
    (tmp_path / "a.log").write_bytes(b"".join(one.lines))
    (tmp_path / "b.log").write_bytes(b"".join(other.lines))
    (tmp_path / "notes").write_text(f"{one.checkpoint()}\n{other.checkpoint(3)}")
    (tmp_path / "witness.vkey").write_text(f"# of the test\n{WITNESS_KEY}\n")
    spec = '{"rules":[]}'
    ledger.add(kind="policy", digest=f"sha256:{hashlib.sha256(spec.encode()).hexdigest()}", policy="crm/p", text=spec)
    ledger.add(kind="policy", digest="sha256:" + "0" * 64, policy="crm/q", text=spec)
    for namespace in ("crm", "vault"):
        ledger.add(kind="grant", namespace=namespace, name="agr-k3v9", phase="Consumed")
    ledger.add(kind="grant", namespace="crm", name="agr-other", phase="Expired")
    ledger.add(kind="checkpoint", note=one.checkpoint())
    (tmp_path / "ledger.log").write_bytes(b"".join(ledger.lines))
    return tmp_path


def verify(folder: Path, *arguments: str, given: str = "") -> Ran:
    files = [str(folder / name) if name.endswith((".log", ".gz")) else name for name in arguments]
    key, notes = str(folder / "witness.vkey"), str(folder / "notes")
    return commandline.run("audit", "verify", *files, "--witness-key", key, "--checkpoints", notes, given=given)


def test_what_is_intact_is_told_up_to_the_last_cosignature(folder: Path) -> None:
    ran = verify(folder, "b.log", "a.log")
    assert ran.code == 0, ran
    first, *_ = ran.out.splitlines()
    assert (
        first
        == "Nothing removed or changed up to 2023-11-14T22:13:23Z (last cosignature). What came later is not known."
    )
    assert "(pod-2): intact; 12 lines, witnessed 12 up to 2023-11-14T22:13:32Z" in ran.out
    assert "  tail 3-4: 2 lines after the last cosignature cannot be verified yet" in ran.out
    assert "17 lines in " in ran.err


def test_stdin_and_compressed_files_are_read_as_any(folder: Path) -> None:
    (folder / "a.log.gz").write_bytes(gzip.compress((folder / "a.log").read_bytes()))
    ran = verify(folder, "a.log.gz", "-", given=(folder / "b.log").read_text())
    assert (ran.code, ran.out) == (0, verify(folder, "a.log", "b.log").out)


def test_a_file_that_ends_in_its_compression_is_read_as_far_as_it_goes(folder: Path) -> None:
    packed = gzip.compress((folder / "a.log").read_bytes(), compresslevel=0)
    (folder / "a.log.gz").write_bytes(packed[: len(packed) // 2])
    ran = verify(folder, "a.log.gz", "b.log", "-o", "json")
    assert ran.code == 1
    assert "a.log.gz ends in the middle of its gzip data" in ran.err
    assert {one["code"] for one in json.loads(ran.out)["chains"][0]["findings"]} == {"truncated", "unclosed"}


def test_a_finding_exits_with_1_and_has_its_place_in_both_shapes(folder: Path) -> None:
    lines = (folder / "a.log").read_bytes().splitlines(keepends=True)
    (folder / "cut.log").write_bytes(b"".join([*lines[:4], *lines[6:]]))
    ran = verify(folder, "cut.log", "b.log")
    assert (ran.code, ran.out.splitlines()[0]) == (1, "This log is not what it was: 1 finding.")
    assert "\n  gap 4-5: 2 lines are missing before later ones\n" in ran.out
    body = json.loads(verify(folder, "cut.log", "b.log", "-o", "json").out)
    assert body["kind"] == "LogAudit"
    assert body["chains"][0]["findings"] == [
        {"code": "gap", "bad": True, "message": "2 lines are missing before later ones", "first": 4, "last": 5}
    ]
    assert [chain["intact"] for chain in body["chains"]] == [False, True]


def test_a_chain_that_is_gone_is_asked_for_unless_it_ended_before(folder: Path) -> None:
    assert verify(folder, "b.log").code == 1
    ran = verify(folder, "b.log", "--since", "2023-11-14T22:13:33Z")
    assert (ran.code, "missing" in ran.out) == (0, False)


def test_config_maps_are_read_as_kubectl_prints_them(folder: Path) -> None:
    notes = (folder / "notes").read_text().split("\n\n")
    one, other = "\n\n".join(notes[:2]) + "\n", "\n\n".join(notes[2:])
    entry = json.dumps({"pod": "pod-2", "key": "k", "checkpoint": one})
    body = {"apiVersion": "v1", "kind": "List", "items": [{"kind": "ConfigMap", "data": {"A": entry, "B": other}}]}
    key = str(folder / "witness.vkey")
    for text in (json.dumps(body), "apiVersion: v1\nkind: List\nitems: " + json.dumps(body["items"])):
        (folder / "maps").write_text(text)
        files = [str(folder / "a.log"), str(folder / "b.log"), "--checkpoints", str(folder / "maps")]
        ran = commandline.run("audit", "verify", *files, "--witness-key", key)
        assert ran.code == 0, ran


def test_checkpoints_of_the_ledger_in_the_files_are_used(folder: Path) -> None:
    key = str(folder / "witness.vkey")
    ran = commandline.run("audit", "verify", str(folder / "a.log"), str(folder / "ledger.log"), "--witness-key", key)
    assert (ran.code, "(pod-2): intact" in ran.out) == (0, True), ran


@pytest.mark.parametrize("arguments", [[], ["--policies", "ledger"]])
@pytest.mark.parametrize("kind", [[], {}, 5, None])
def test_a_line_whose_kind_is_no_text_ends_no_verification(folder: Path, kind: object, arguments: list[str]) -> None:
    log = ProcessLog(2)
    log.lines.append(log.writer.append(written({"kind": kind, "evaluation_id": "e"})))
    (folder / "odd.log").write_bytes(b"".join(log.close().lines))
    (folder / "notes").write_text(log.checkpoint())
    ran = verify(folder, "odd.log", *arguments)
    assert (ran.code, "(pod-2): intact; 3 lines" in ran.out) == (0, True), ran
    # What names a history, and is of no kind that has any, is a finding whatever stands for its kind.
    log.lines.append(log.writer.append(written({"kind": kind, "history": [{"name": "x", "object": "o", "seq": 1}]})))
    (folder / "odd.log").write_bytes(b"".join(log.lines))
    named = verify(folder, "odd.log", *arguments)
    assert (named.code, "unreadable" in named.out) == (1, True), named


def test_what_only_a_key_that_is_not_given_cosigned_is_untold_and_that_is_said(folder: Path) -> None:
    other = str(verifier_key("bailiwick/5a1e/witness", SignatureType.COSIGNATURE, private_key(9)))
    files = [str(folder / name) for name in ("a.log", "b.log")]
    ran = commandline.run("audit", "verify", *files, "--checkpoints", str(folder / "notes"), "--witness-key", other)
    first, *_ = ran.out.splitlines()
    assert (ran.code, first) == (1, "Nothing is known of 2 chains: no witness that you trust saw them."), ran
    given = WITNESS_KEY.label
    assert f"checkpoints of 2 chains are cosigned by {given}, whose key is not given" in ran.err
    both = verify(folder, "a.log", "b.log", "--witness-key", other)
    assert (both.code, "whose key is not given" in both.err) == (0, False), both


def test_as_many_witnesses_must_agree_as_the_quorum_says(folder: Path) -> None:
    outside, name = private_key(8), "example.org/witness"
    key = str(verifier_key(name, SignatureType.COSIGNATURE, outside))
    lacking = verify(folder, "a.log", "b.log", "--witness-key", key, "--witness-quorum", "2")
    assert (lacking.code, "1 of the 2 required witnesses saw the chain" in lacking.out) == (1, True), lacking
    notes = (folder / "notes").read_text()
    seen = [cosign_note(f"{note.strip()}\n", name, outside, BEGAN + 90) for note in notes_of(notes)]
    (folder / "outside").write_text("\n".join(seen))
    given = ("--witness-key", key, "--witness-quorum", "2", "--checkpoints", str(folder / "outside"))
    ran = verify(folder, "a.log", "b.log", *given)
    assert (ran.code, "intact as far as a witness saw: 2" in ran.out) == (0, True), ran
    many = verify(folder, "a.log", "b.log", *given[:3], "3")
    assert (many.code, "--witness-key has keys of 2 witnesses" in many.err) == (2, True), many


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no.log"], "no.log cannot be read: No such file or directory"),
        (["plain.txt"], "no line of a chain"),
        (["{a}", "--checkpoints", "{notes}"], "--checkpoints needs --witness-key"),
        (["{a}", "--checkpoints", "{a}", "--witness-key", "{key}"], "a.log is a log: name it among the files"),
        (["{a}", "--checkpoints", "{key}", "--witness-key", "{key}"], "no checkpoint found"),
        (["{a}", "--witness-key", "bailiwick+00000000+AAAA"], "not a key of signed notes"),
        (["{a}", "--witness-key", "{process}"], "is not one of a witness"),
        (["{a}", "--since", "yesterday"], "--since: 'yesterday' is not a time"),
        (["{a}", "--policies", "{a}"], "no EndpointPolicy found"),
        (["{a}", "--fail-on", "unproven"], "--fail-on unproven needs --policies"),
    ],
)
def test_what_cannot_be_verified_exits_with_2_and_says_why(folder: Path, arguments: list[str], said: str) -> None:
    (folder / "plain.txt").write_text("plain\n")
    process = str(VerifierKey.parse(json.loads((folder / "a.log").read_text().splitlines()[0])["key"]))
    places = {"a": folder / "a.log", "notes": folder / "notes", "key": folder / "witness.vkey", "process": process}
    given = [one.format(**places) if "{" in one else one for one in arguments]
    given = [str(folder / one) if one == "plain.txt" else one for one in given]
    ran = commandline.run("audit", "verify", *given)
    assert (ran.code, ran.out) == (2, ""), ran
    assert said in ran.err


def test_what_a_decision_point_for_development_decided_is_not_derived(folder: Path) -> None:
    process = ProcessLog(5, settings={"development": True}).records(3)
    (folder / "development.log").write_bytes(b"".join(process.lines))
    ran = verify(folder, "development.log", "a.log", "--policies", "ledger", "-o", "json")
    records = json.loads(ran.out)["records"]
    assert (records["total"], records["unproven:development"], records["contradictedLines"]) == (13, 3, [])
    assert "note: unproven:development: A decision point with --development decided." in ran.err


class TestCounts:
    """What lines of all logs say of a history, added up."""

    NAME = f"h-{1:040x}"

    def ran(self, folder: Path, *numbers: tuple[int, int], shape: str = "table") -> Ran:
        """Verify two logs whose lines in turn have these numbers and counts."""
        logs = [ProcessLog(5), ProcessLog(6)]
        for at, (seq, count) in enumerate(numbers):
            read = {"name": "exports", "object": self.NAME, "seq": seq, "count": count, "sum": None}
            history = [{**read, "age": None if count == 1 else 1, "added": True}]
            logs[at % 2].at(at + 1).add(evaluation_id=f"{at}", decision=True, endpoint="crm/api", history=history)
        for log, name in zip(logs, ("c.log", "d.log"), strict=True):
            (folder / name).write_bytes(b"".join(log.lines))
        (folder / "notes").write_text("\n".join(log.checkpoint() for log in logs))
        return verify(folder, "d.log", "c.log", "-o", shape)

    def test_that_follow_are_derived(self, folder: Path) -> None:
        ran = self.ran(folder, (1, 1), (2, 2), (3, 3))
        assert ran.code == 0
        assert "3 lines about 1 history object: 3 derived, 0 gaps, 0 contradicted" in ran.out
        assert "set --policies" in ran.err

    def test_that_are_missing_are_a_gap_which_does_not_fail(self, folder: Path) -> None:
        ran = self.ran(folder, (1, 1), (2, 2), (4, 4))
        assert ran.code == 0
        assert f"crm/api {self.NAME}: gap: no line has number 3" in ran.out
        assert "give the files of all decision points" in ran.err

    def test_of_two_calls_with_one_number_are_contradicted(self, folder: Path) -> None:
        ran = self.ran(folder, (1, 1), (1, 1), (2, 2), shape="json")
        assert ran.code == 1
        said = json.loads(ran.out)
        assert said["message"] == "This log is not what it was: 1 finding."
        (found,) = said["histories"]["findings"]
        assert (found["code"], found["bad"], found["endpoint"]) == ("contradicted", True, "crm/api")
        assert found["object"] == self.NAME
        assert (said["histories"]["derived"], said["histories"]["windowsKnown"]) == (2, False)


def test_without_a_key_nothing_is_intact_and_that_is_said(folder: Path) -> None:
    ran = commandline.run("audit", "verify", str(folder / "b.log"), str(folder / "ledger.log"))
    assert ran.code == 1
    assert "without --witness-key no checkpoint counts" in ran.err
    assert "intact as far as a witness saw: 0" in ran.out


class TestCheckpointsToKeep:
    def kept(self, folder: Path, *arguments: str, key: str = "witness.vkey") -> Ran:
        given = [str(folder / one) if one in {"ledger.log", "a.log", "notes", "first"} else one for one in arguments]
        return commandline.run("audit", "checkpoint", *given, "--witness-key", str(folder / key))

    def test_are_the_newest_of_each_chain_and_are_read_again(self, folder: Path) -> None:
        one = ProcessLog(2).records(10).close()
        (folder / "first").write_text(one.checkpoint(5))
        ran = self.kept(folder, "--checkpoints", "first", "--checkpoints", "notes")
        assert (ran.code, notes_of(ran.out)) == (0, sorted(notes_of((folder / "notes").read_text()))), ran
        assert "checkpoints of 2 chains, the latest from 2023-11-14T22:13:32Z" in ran.err
        (folder / "kept").write_text(ran.out)
        cut = b"".join((folder / "a.log").read_bytes().splitlines(keepends=True)[:7])
        (folder / "cut.log").write_bytes(cut)
        files = [str(folder / "cut.log"), str(folder / "b.log"), "--witness-key", str(folder / "witness.vkey")]
        found = commandline.run("audit", "verify", *files, "--checkpoints", str(folder / "kept"))
        assert (found.code, "7-11: a witness saw 12 lines, but only 7 are here" in found.out) == (1, True), found

    def test_come_from_the_ledger_too(self, folder: Path) -> None:
        ran = self.kept(folder, "ledger.log")
        assert (ran.code, len(notes_of(ran.out)), ran.out in (folder / "notes").read_text()) == (0, 1, True), ran

    def test_of_a_witness_that_contradicted_itself_are_both(self, folder: Path) -> None:
        one, other = ProcessLog(2).records(10), ProcessLog(2).records(9)
        other.add(evaluation_id="other")
        (folder / "notes").write_text(f"{one.checkpoint()}\n{other.checkpoint()}")
        assert len(notes_of(self.kept(folder, "--checkpoints", "notes").out)) == 2

    def test_are_none_that_no_trusted_witness_cosigned(self, folder: Path) -> None:
        another = verifier_key("bailiwick/5a1e/witness", SignatureType.COSIGNATURE, private_key(9))
        (folder / "other.vkey").write_text(str(another))
        for source in (("--checkpoints", "notes"), ("ledger.log",), ("a.log",)):
            ran = self.kept(folder, *source, key="other.vkey")
            assert (ran.code, ran.out, "witness that you trust cosigned a checkpoint" in ran.err) == (1, "", True), ran
        assert "1 checkpoints of the log are not used" in self.kept(folder, "ledger.log", key="other.vkey").err

    def test_are_of_one_witness_so_that_none_is_lost(self, folder: Path) -> None:
        outside = verifier_key("example.org/witness", SignatureType.COSIGNATURE, private_key(8))
        (folder / "two.vkey").write_text(f"{WITNESS_KEY}\n{outside}\n")
        ran = self.kept(folder, "ledger.log", key="two.vkey")
        assert (ran.code, ran.out, "keys of 2 witnesses: run this once for each" in ran.err) == (2, "", True), ran
        ran = commandline.run("audit", "checkpoint", str(folder / "ledger.log"))
        assert (ran.code, ran.out, "set --witness-key" in ran.err) == (2, "", True), ran

    def test_are_asked_of_the_cluster_where_no_file_is_given(self, folder: Path) -> None:
        ran = self.kept(folder, "--kubeconfig", str(folder / "nowhere"))
        assert (ran.code, ran.out, "nowhere" in ran.err) == (2, "", True), ran


class TestProofs:
    def made(self, folder: Path, evaluation: str = "Ag-3", *more: str) -> Ran:
        files = [str(folder / "a.log"), str(folder / "b.log"), "--checkpoints", str(folder / "notes")]
        return commandline.run(
            "audit", "prove", evaluation, *files, "--witness-key", str(folder / "witness.vkey"), *more
        )

    def checked(self, folder: Path, key: str = "witness.vkey") -> Ran:
        files = [str(folder / "proof"), str(folder / "record.json")]
        return commandline.run("audit", "check-proof", *files, "--witness-key", str(folder / key))

    def test_a_record_is_proven_to_whoever_has_the_key_alone(self, folder: Path) -> None:
        ran = self.made(folder, "Ag-3", "--record", str(folder / "record.json"))
        assert (ran.code, ran.out.splitlines()[:2]) == (0, ["c2sp.org/tlog-proof@v1", "index 4"]), ran
        (folder / "proof").write_text(ran.out)
        checked = self.checked(folder)
        assert (checked.code, checked.out.startswith("proven: line 4 of the log bailiwick/5a1e/")) == (0, True)

    @pytest.mark.parametrize("change", ["record", "other line", "key", "not a record"])
    def test_nothing_else_is(self, folder: Path, change: str) -> None:
        ran = self.made(folder, "Ag-3", "--record", str(folder / "record.json"))
        (folder / "proof").write_text(ran.out)
        record = (folder / "record.json").read_bytes()
        other = (folder / "a.log").read_bytes().splitlines()[5]
        changed = {"record": record.replace(b"true", b"false"), "other line": other, "not a record": b"{}\n"}
        (folder / "record.json").write_bytes(changed.get(change, record))
        another = VerifierKey(WITNESS_KEY.name, WITNESS_KEY.kind, private_key(9).public_key().public_bytes_raw())
        (folder / "other.vkey").write_text(str(another))
        checked = self.checked(folder, "other.vkey" if change == "key" else "witness.vkey")
        assert (checked.code, checked.out, "not proven: " in checked.err) == (1, "", True), checked

    def test_what_no_checkpoint_covers_or_is_not_there_is_not_proven(self, folder: Path) -> None:
        for evaluation, said in (("Aw-3", "no cosigned checkpoint covers line 4"), ("no-such", "no record of no-such")):
            ran = self.made(folder, evaluation)
            assert (ran.code, ran.out, said in ran.err) == (1, "", True), ran

    def test_a_log_that_was_changed_proves_nothing(self, folder: Path) -> None:
        text = (folder / "a.log").read_bytes()
        (folder / "a.log").write_bytes(text.replace(b'"Ag-5","decision":true', b'"Ag-5","decision":false'))
        ran = self.made(folder)
        assert (ran.code, ran.out, "altered at 6" in ran.err) == (1, "", True), ran

    def test_a_file_that_is_no_proof_exits_with_2(self, folder: Path) -> None:
        (folder / "proof").write_text("no proof\n")
        (folder / "record.json").write_bytes(written({"a": 1}))
        assert self.checked(folder).code == 2


class TestTheLedger:
    def test_prints_a_policy_by_the_beginning_of_its_digest(self, folder: Path) -> None:
        digest = hashlib.sha256(b'{"rules":[]}').hexdigest()
        for named in (f"sha256:{digest}", digest[:8]):
            ran = commandline.run("audit", "policy", named, str(folder / "ledger.log"))
            assert (ran.code, ran.out) == (0, f"policy: crm/p\ndigest: sha256:{digest}\nspec:\n  rules: []\n"), ran
            assert commandline.run("audit", "policy", named, str(folder / "ledger.log"), "-o", "yaml") == ran
            as_json = commandline.run("audit", "policy", named, str(folder / "ledger.log"), "-o", "json")
            told = {"policy": "crm/p", "digest": f"sha256:{digest}", "spec": {"rules": []}}
            assert (as_json.code, json.loads(as_json.out)) == (0, told), as_json

    @pytest.mark.parametrize(
        ("digest", "code", "said"),
        [("0" * 64, 1, "it was changed"), ("f" * 8, 1, "no policy with the digest"), ("0000", 2, "at least 8 digits")],
    )
    def test_prints_no_text_that_has_not_the_digest(self, folder: Path, digest: str, code: int, said: str) -> None:
        ran = commandline.run("audit", "policy", digest, str(folder / "ledger.log"))
        assert (ran.code, ran.out, said in ran.err) == (code, "", True), ran

    def test_prints_how_a_grant_ended(self, folder: Path) -> None:
        ledger = str(folder / "ledger.log")
        assert "phase: Expired" in commandline.run("audit", "grant", "agr-other", ledger).out
        told = json.loads(commandline.run("audit", "grant", "crm/agr-k3v9", ledger, "-o", "json").out)
        assert told.pop("time")
        assert told == {"kind": "grant", "namespace": "crm", "name": "agr-k3v9", "phase": "Consumed"}
        assert "choose one with -n" in commandline.run("audit", "grant", "agr-k3v9", ledger).err
        assert "namespace: vault" in commandline.run("audit", "grant", "agr-k3v9", ledger, "-n", "vault").out
        ran = commandline.run("audit", "grant", "agr-none", ledger)
        assert (ran.code, "no grant agr-none" in ran.err) == (1, True)


def signed(folder: Path, use: Object, *more: str, form: str = "json") -> Ran:
    """Verify a log with one use of a grant, by the ledger's file of keys and the registrar's key."""
    registrar = KeyFile.make(folder / "registrar")
    process, ledger = ProcessLog(5), ProcessLog(6, component="operator")
    for line in published(registrar, 1, 0, LINE):
        ledger.add(**line)
    process.add(**use)
    for name, log in (("used.log", process), ("signed-ledger.log", ledger)):
        (folder / name).write_bytes(b"".join(log.close().lines))
    (folder / "notes").write_text(f"{process.checkpoint()}\n{ledger.checkpoint()}")
    keys = ("--registrar-key", str(folder / "registrar.pub"))
    return verify(folder, "used.log", "signed-ledger.log", *keys, *more, "-o", form)


@pytest.mark.invariant(30)
def test_signed_reviews_are_verified_by_the_registrars_key_and_a_forged_one_exits_with_1(folder: Path) -> None:
    for stored, found in ((approved(), []), (approved(DAVES), ["unenrolled"])):
        ran = signed(folder, used(stored))
        (folder / "registrar").unlink()
        (folder / "registrar.pub").unlink()
        body = json.loads(ran.out)
        assert [one["code"] for one in body["reviews"]["findings"]] == found
        assert (body["reviews"]["reviews"], body["reviews"]["files"], body["reviews"]["verified"]) == (1, 1, True)
        assert ("finding" in body["message"]) == bool(found)
    told = verify(folder, "used.log", "signed-ledger.log")
    assert "note: signed reviews are verified only with --registrar-key" in told.err
    assert "1 signed reviews, not verified" in told.out


@pytest.mark.invariant(30)
def test_a_review_that_cannot_be_read_exits_with_1(folder: Path) -> None:
    use = used(approved())
    use["grant"]["reviews"].insert(0, {})
    ran = signed(folder, use, form="table")
    assert (ran.code, ran.out.splitlines()[0]) == (1, "This log is not what it was: 1 finding."), ran
    said = " 1: unreadable: the line has reviews, or reviewers' keys, in another form than a process writes\n"
    assert said in ran.out


@pytest.mark.invariant(30)
@pytest.mark.parametrize(
    ("origins", "found"),
    [
        ([], []),
        ([ORIGIN], []),
        ([f"{ORIGIN}:443", "https://other.example"], []),
        ([f"{ORIGIN}:8443"], ["badly-signed"]),
        ([f"https://beside.{RP_ID}"], ["badly-signed"]),
        ([LOCAL_CONSOLES], ["badly-signed"]),
    ],
)
def test_a_passkey_that_was_used_at_another_origin_than_those_of_consoles_is_a_finding(
    folder: Path, origins: list[str], found: list[str]
) -> None:
    ran = signed(folder, used(approved()), *(part for origin in origins for part in ("--passkey-origin", origin)))
    findings = json.loads(ran.out)["reviews"]["findings"]
    assert ([one["code"] for one in findings], ran.code) == (found, int(bool(found))), ran
    assert all(f"the passkey was used at {ORIGIN}, where none of {RP_ID} is accepted" in str(one) for one in findings)


def test_where_passkeys_sign_means_nothing_without_registrars(folder: Path) -> None:
    for flag, value in (("--passkey-origin", ORIGIN), ("--reviewers-installation", "test")):
        ran = verify(folder, "a.log", flag, value)
        assert (ran.code, f"{flag} needs --registrar-key" in ran.err) == (2, True), ran
    given = KeyFile.make(folder / "registrar").path.with_name("registrar.pub")
    ran = verify(folder, "a.log", "--registrar-key", str(given), "--passkey-origin", "http://console.example")
    assert (ran.code, "--passkey-origin: 'http://console.example' is not the origin" in ran.err) == (2, True), ran


def test_a_file_that_holds_no_registrars_key_is_refused(folder: Path) -> None:
    ran = verify(folder, "a.log", "--registrar-key", str(folder / "witness.vkey"))
    assert (ran.code, f"{folder / 'witness.vkey'}: line 2: not a public key" in ran.err) == (2, True)


def test_registrars_are_read_as_where_a_file_is_checked(folder: Path, tmp_path: Path) -> None:
    given, copy = KeyFile.make(tmp_path / "registrar").path.with_name("registrar.pub"), tmp_path / "copy.pub"
    copy.write_text(given.read_text())
    manifest = tmp_path / "none.yaml"
    for arguments, why in (
        (("--registrar-key", str(given), "--registrar-key", str(copy)), f"{copy}: this key is in {given} too"),
        (("--registrar-key", str(given), "--registrar-quorum", "2"), "--registrar-quorum 2: there are keys of 1"),
        (("--registrar-key", str(tmp_path / "nowhere")), f"{tmp_path / 'nowhere'} cannot be read"),
    ):
        for ran in (
            verify(folder, "a.log", *arguments),
            commandline.run("reviewers", "check", str(manifest), *arguments),
        ):
            assert (ran.code, why in ran.err) == (2, True), ran
