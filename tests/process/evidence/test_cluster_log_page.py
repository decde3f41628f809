"""docs/how-to/log-of-all-clusters.md, typed as it stands: Tessera writes the log, a witness of C2SP cosigns it.

One witness is ours; the other is litewitness, which others wrote. kubectl is one that has what the clusters hold.
"""

import json
import re
import time
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_evidence.note import SignatureType, VerifierKey
from localcluster import build
from support.evidence.litewitness import Witness
from support.evidence.logs import BEGAN, ProcessLog
from support.evidence.tilelogs import EAST, EAST_KEY, NAMESPACE, WEST, WEST_KEY, process_log
from support.offlineshell import OfflineShell
from support.pages import DOCS

PAGE: Final = (DOCS / "how-to" / "log-of-all-clusters.md").read_text(encoding="utf-8")
BLOCKS: Final = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
KEY, APPEND, FIRST, AGAIN = (body for language, body in BLOCKS if language == "sh")
POLICY, ANSWER = (body for language, body in BLOCKS if not language)
# Where a page asks a cluster, the ConfigMaps of its witness are a file.
KUBECTL: Final = """#!/bin/bash
shift
words=()
while [ $# -gt 0 ]; do
  case $1 in
    --context) words+=(--checkpoints "$2.yaml"); shift 2 ;;
    -n) shift 2 ;;
    *) words+=("$1"); shift ;;
  esac
done
exec {python} -P -m bailiwick_cli "${{words[@]}}"
"""


@pytest.fixture
def shell(tmp_path: Path) -> OfflineShell:
    """A shell with the programs of Tessera, and the keys of two clusters' witnesses."""
    folder = tmp_path / "auditor"
    folder.mkdir()
    shell = OfflineShell(folder, KUBECTL.replace("{{", "{").replace("}}", "}"))
    programs = build.ensure(build.tessera())
    for name in ("posix-oneshot", "fsck"):
        (folder / "bin" / name).symlink_to(programs / name)
    (folder / "east.vkey").write_text(f"{EAST_KEY}\n")
    (folder / "west.vkey").write_text(f"{WEST_KEY}\n")
    return shell


def hold(folder: Path, cluster: str, *logs: ProcessLog) -> None:
    """Have a cluster hold what its witness cosigned now, and the auditor its lines."""
    now, by = int(time.time()), {"east": EAST, "west": WEST}[cluster]
    data = {log.id: json.dumps({"pod": "p", "checkpoint": log.checkpoint(now=now, by=by)}) for log in logs}
    (folder / f"{cluster}.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "data": data}))
    (folder / f"{cluster}.log").write_bytes(b"".join(line for log in logs for line in log.lines))


def append(shell: OfflineShell) -> None:
    ran = shell.type(APPEND)
    assert ran.code == 0, ran


def verify(shell: OfflineShell, block: str = AGAIN) -> tuple[int, dict[str, Any]]:
    """Type a block that verifies, for programs; return its exit code, and what it says of the cluster log."""
    ran = shell.type(block.replace("cp clusters/checkpoint clusters.checkpoint\n", "").rstrip() + " -o json\n")
    assert ran.out, ran
    return ran.code, json.loads(ran.out)["clusterLog"]


def test_the_page_is_typed_and_finds_what_was_cut(shell: OfflineShell, outside: Witness) -> None:
    folder = shell.folder
    shell.type(KEY)
    key = VerifierKey.parse((folder / "log.vkey").read_text())
    assert (key.name, key.kind, (folder / "log.key").stat().st_mode & 0o777) == (
        "example.org/clusters",
        SignatureType.ED25519,
        0o600,
    )
    outside.know(key)
    (folder / "outside.vkey").write_text(outside.key)
    (folder / "witnesses.policy").write_text(
        POLICY.replace("example.org/outside+KEY-ID+KEY", outside.key).replace(
            "https://witness.example.org", outside.url
        )
    )
    east, west = process_log(2).records(5), process_log(3).records(7)
    hold(folder, "east", east)
    hold(folder, "west", west)
    append(shell)
    first = shell.type(FIRST)
    assert (first.code, "note: anyone who holds" in first.err) == (0, False), first
    shape = re.compile(r"\d{4}-\d\d-\d\dT[\d:]+Z|Lines: \d+")
    for line in (line for line in ANSWER.splitlines() if not line.startswith("Chains")):
        assert shape.sub("", line) in [shape.sub("", one) for one in first.out.splitlines()], (line, first.out)

    # The witness never heard of the processes that start now, and cosigns all the same.
    younger = process_log(6).records(9)
    hold(folder, "east", east.records(3), younger)
    (folder / "clusters.checkpoint").write_bytes((folder / "clusters" / "checkpoint").read_bytes())
    append(shell)
    code, log = verify(shell)
    assert (code, log["entries"], [one["chains"] for one in log["clusters"]]) == (0, 5, [2, 1]), log
    checked = shell.type("fsck --storage_url=file://$PWD/clusters/ --public_key=log.vkey --ui=false")
    assert "Successfully fsck'd log with size 5" in checked.err, checked
    assert shell.succeed(AGAIN.splitlines()[0]) == ""

    # An administrator sets back the end of a log, and the witness of the cluster with it.
    cut = b"".join([*east.lines[:-3], *younger.lines])
    (folder / "east.log").write_bytes(cut)
    code, log = verify(shell)
    assert (code, [one["cut"] for one in log["clusters"]], log["findings"]) == (1, [[east.id], []], []), log
    (folder / "east.log").write_bytes(b"".join(east.lines))
    code, log = verify(shell)
    assert (code, log["clusters"][0]["cut"]) == (1, [younger.id]), log
    (folder / "east.log").write_bytes(b"".join([*east.lines, *younger.lines]))
    assert verify(shell)[0] == 0


def test_a_cluster_that_appends_checkpoints_of_another_is_found(shell: OfflineShell) -> None:
    folder = shell.folder
    shell.type(KEY)
    (folder / "witnesses.policy").write_text("quorum none\n")
    east, west = process_log(2).records(5), process_log(3).records(7)
    hold(folder, "east", east)
    hold(folder, "west", west)
    append(shell)
    # The administrators of the west have another end of the east's log, which all its names fit.
    other = process_log(2).records(3)
    hold(folder, "west", west, other)
    append(shell)
    hold(folder, "west", west)
    block = FIRST.replace(" --cluster-log-witness outside.vkey", "")
    code, log = verify(shell, block)
    assert (code, log["intact"], [one["cut"] for one in log["clusters"]]) == (1, True, [[east.id], [east.id]]), log
    ran = shell.type(block)
    assert "contradicted: the keys of 2 clusters cosigned it, and a chain is of one: east, west" in ran.out, ran


def test_a_cluster_that_does_not_answer_costs_the_others_nothing(shell: OfflineShell) -> None:
    folder = shell.folder
    shell.type(KEY)
    (folder / "witnesses.policy").write_text("quorum none\n")
    hold(folder, "east", process_log(2).records(5))
    ran = shell.type(APPEND)
    assert (ran.code, "west.yaml cannot be read" in ran.err) == (1, True), ran
    (folder / "west.log").write_bytes(b"")
    block = FIRST.replace(" --cluster-log-witness outside.vkey", "")
    code, log = verify(shell, block)
    assert (code, [one["message"] for one in log["findings"]]) == (1, ["cluster west: no checkpoint"]), log
    assert [(one["name"], one["silent"]) for one in log["clusters"]] == [("east", False), ("west", True)]
    assert "note: anyone who holds the key of the cluster log" in shell.type(block).err


def test_what_was_cosigned_last_before_since_is_left_out(shell: OfflineShell) -> None:
    old, new = process_log(2).records(5), process_log(3).records(2)
    data = {
        log.id: json.dumps({"checkpoint": log.checkpoint(now=when, by=EAST)})
        for log, when in ((old, BEGAN), (new, int(time.time())))
    }
    (shell.folder / "east.yaml").write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "data": data}))
    words = "kubectl bailiwick audit checkpoint --context east --witness-key east.vkey"
    shell.type(f"{words} --since 2d --entries entries")
    (entry,) = (shell.folder / "entries").iterdir()
    assert entry.read_text().startswith(f"bailiwick/{NAMESPACE}/{new.id}\n")
    none = shell.type(f"{words} --since 2999-01-01 --entries none")
    assert (none.code, "--since: no checkpoint was cosigned since" in none.err) == (1, True), none
    assert not (shell.folder / "none").exists()
