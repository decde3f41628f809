"""docs/how-to/divide-logs.md, typed: shards of a log, their sum, and the manifest of a Job."""

from pathlib import Path
from typing import Final

import pytest
import yaml

from support.evidence.installationlogs import write_witnessed_logs
from support.evidence.logs import WITNESS_KEY
from support.offlineshell import OfflineShell
from support.pages import script

PAGE: Final = "how-to/divide-logs.md"
SHARDS: Final = "for shard in 0 1 2 3; do\n  kubectl"
MISSING: Final = "for shard in 0 1 2 3; do\n  [ -s"
ALONE: Final = (
    "kubectl bailiwick audit verify decisions.log ledger.log --policies ledger --witness-key witness.vkey"
    " --checkpoints checkpoints.notes"
)


@pytest.fixture
def shell(tmp_path: Path) -> OfflineShell:
    """The logs of an operator and of six decision points, all of them witnessed."""
    write_witnessed_logs(tmp_path)
    return OfflineShell(tmp_path)


def test_the_shards_of_the_page_come_to_what_one_process_prints(shell: OfflineShell) -> None:
    assert shell.type(script(PAGE, SHARDS)).code == 0
    ran = shell.type(script(PAGE, "kubectl bailiwick audit merge shard-*.json"))
    alone = shell.type(ALONE)
    assert (ran.code, ran.out) == (alone.code, alone.out)
    assert ran.out.startswith("Nothing removed or changed up to "), ran


def test_a_run_that_broke_off_goes_on_with_the_shards_that_are_missing(shell: OfflineShell) -> None:
    assert shell.type(script(PAGE, SHARDS)).code == 0
    whole = [shard.read_bytes() for shard in _shards(shell)]
    first, second, *_ = _shards(shell)
    first.unlink()
    second.write_bytes(b"")
    third = _shards(shell)[1]
    written_at = third.stat().st_mtime_ns
    assert shell.type(script(PAGE, MISSING)).code == 0
    assert [shard.read_bytes() for shard in _shards(shell)] == whole
    assert third.stat().st_mtime_ns == written_at


def _shards(shell: OfflineShell) -> list[Path]:
    return sorted(shell.folder.glob("shard-*.json"))


def test_the_job_of_the_page_runs_the_same_command_on_the_files_of_the_caller(shell: OfflineShell) -> None:
    shell.succeed(script(PAGE, "kubectl bailiwick audit verify s3://"))
    inputs, job = yaml.safe_load_all((shell.folder / "job.yaml").read_text(encoding="utf-8"))
    assert inputs["data"] == {
        "file-0": (shell.folder / "checkpoints.notes").read_text(encoding="utf-8"),
        "file-1": f"{WITNESS_KEY}\n",
    }
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["args"][-4:] == ["--shards", "8", "--shard", "$(JOB_COMPLETION_INDEX)"]
