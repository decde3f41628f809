"""The manifest of a divided command: its pods run the same command with the same files, and have no right."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from bailiwick_cli.commands import replay, unused
from bailiwick_cli.commands.audit import verify
from bailiwick_cli.verbs.auditverbs import VerifyFlags
from bailiwick_cli.verbs.logverbs import ReplayFlags, UnusedFlags
from support.evidence.logs import WITNESS_KEY
from support.evidence.shardruns import command
from support.evidence.tilelogs import EAST_KEY, WEST_KEY

LOG: Final = "s3://records/2026"
JOB: Final[dict[str, Any]] = {"as_job": "audit", "shards": 4, "image": "registry.example/cli:1"}

SCRATCH: Final = {"name": "scratch", "mountPath": "/tmp"}  # noqa: S108 - of the pod's own


def manifests(run: Any, **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - of any verb
    ran = run(**(JOB | options))
    assert ran.code == 0, ran
    return list(yaml.safe_load_all(ran.out))


def container(job: dict[str, Any]) -> dict[str, Any]:
    (one,) = job["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = one
    return found


def test_a_command_without_files_is_one_job() -> None:
    run = command(verify.run, VerifyFlags, files=[LOG], witness_key=[str(WITNESS_KEY)], policies="ledger")
    (job,) = manifests(run, namespace="audit", service_account="reader", env_from="store")
    assert (job["kind"], job["metadata"]) == ("Job", {"name": "audit", "namespace": "audit"})
    assert {name: job["spec"][name] for name in ("completionMode", "completions", "parallelism")} == {
        "completionMode": "Indexed",
        "completions": 4,
        "parallelism": 4,
    }
    assert container(job)["args"] == [
        *("audit", "verify", LOG, "--witness-key", str(WITNESS_KEY), "--policies", "ledger"),
        *("--shards", "4", "--shard", "$(JOB_COMPLETION_INDEX)"),
    ]
    assert container(job)["envFrom"] == [{"secretRef": {"name": "store"}}]
    # All else is read-only, and a long log needs a temporary file.
    assert container(job)["volumeMounts"] == [SCRATCH]
    pod = job["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == ("reader", False)


def test_the_key_of_a_cluster_keeps_the_name_before_it(tmp_path: Path) -> None:
    (tmp_path / "east.vkey").write_text(f"{EAST_KEY}\n", encoding="utf-8")
    keys = [f"east={tmp_path / 'east.vkey'}", f"west={WEST_KEY}"]
    inputs, job = manifests(command(verify.run, VerifyFlags, files=[LOG], witness_key=keys))
    assert inputs["data"] == {"file-0": f"{EAST_KEY}\n"}
    assert container(job)["args"][3:7] == [
        *("--witness-key", "east=/inputs/0-east.vkey", "--witness-key", f"west={WEST_KEY}")
    ]


def test_files_are_in_a_config_map_at_the_paths_that_the_pods_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    (folder / "crm").mkdir(parents=True)
    (folder / "crm" / "a.yaml").write_text("a: 1\n", encoding="utf-8")
    (folder / "b.yaml").write_bytes(b"\xff")
    (tmp_path / "old.yaml").write_text("old: 1\n", encoding="utf-8")
    run = command(
        replay.run,
        ReplayFlags,
        files=[LOG],
        candidate=[str(folder)],
        policies=str(tmp_path / "old.yaml"),
        fail_on=["deny->allow", "$(HOME)"],
        overlay=True,
    )
    inputs, job = manifests(run)
    found = container(job)
    scratch, volume = job["spec"]["template"]["spec"]["volumes"]
    assert scratch == {"name": "scratch", "emptyDir": {}}
    mounted = {one["path"]: one["key"] for one in volume["configMap"]["items"]}
    assert mounted == {"0-policies/b.yaml": "file-0", "0-policies/crm/a.yaml": "file-1", "2-old.yaml": "file-2"}
    assert inputs["data"] == {"file-1": "a: 1\n", "file-2": "old: 1\n"}
    assert inputs["binaryData"] == {"file-0": "/w=="}
    assert found["volumeMounts"] == [
        SCRATCH,
        {"name": "inputs", "mountPath": "/inputs", "readOnly": True},
    ]
    assert found["args"] == [
        *("replay", LOG, "--candidate", "/inputs/0-policies", "--policies", "/inputs/2-old.yaml", "--overlay"),
        # The kubelet puts the environment in the place of `$(...)`.
        *("--fail-on", "deny->allow", "--fail-on", "$$(HOME)"),
        *("--shards", "4", "--shard", "$(JOB_COMPLETION_INDEX)"),
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shards": None}, "needs --shards N and --image IMAGE"),
        ({"image": None}, "needs --shards N and --image IMAGE"),
        ({"shard": 1}, "sets --shard itself"),
        ({"as_job": "Audit"}, "a name is of at most 53 small letters"),
        ({"files": ["decisions.log"]}, "is not in the pods"),
        ({"files": ["-"]}, "is not in the pods"),
        ({"files": ["file:///logs"]}, "is not in the pods"),
        ({"checkpoints": ["cluster"]}, "asks a cluster"),
        ({"checkpoints": ["no-such-file"]}, "there is no file no-such-file"),
        ({"witness_key": ["witness+x"]}, "--witness-key"),
        ({"since": "24h"}, "is another moment in each shard"),
        ({"output": "json"}, "a shard is always JSON"),
        ({"cluster_log": "s3://log"}, "--cluster-log cannot be divided"),
        ({"witness_key": ["east=no-such-file"]}, "there is no file no-such-file"),
    ],
)
def test_what_a_pod_cannot_do_is_refused(options: dict[str, Any], said: str) -> None:
    run = command(verify.run, VerifyFlags)
    ran = run(**({"files": [LOG]} | JOB | options))
    assert (ran.code, said in ran.out) == (2, True), ran


@pytest.mark.parametrize(("option", "value"), [("live", True), ("state", "uses.json")])
def test_what_only_the_caller_has_is_refused(option: str, value: object) -> None:
    ran = command(unused.run, UnusedFlags, files=[LOG])(**(JOB | {option: value}))
    assert (ran.code, f"--{option}" in ran.out) == (2, True), ran


def test_a_revision_of_the_callers_repository_is_refused() -> None:
    ran = command(replay.run, ReplayFlags, files=[LOG], candidate=["policies"], base="main")(**JOB)
    assert (ran.code, "--base asks Git" in ran.out) == (2, True), ran


def test_files_that_no_config_map_holds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "big.yaml").write_bytes(b"#" * 900_001)
    ran = command(replay.run, ReplayFlags, files=[LOG], candidate=[str(tmp_path / "big.yaml")])(**JOB)
    assert (ran.code, "which no ConfigMap holds" in ran.out) == (2, True), ran
