"""`audit verify --checkpoints cluster`, which reads the ConfigMaps of the witness as the person who types."""

import json
from pathlib import Path
from typing import Final

import pytest

from localcluster.access import Cluster
from support import commandline
from support.callers import Callers
from support.commandline import Ran
from support.evidence.logs import WITNESS_KEY, ProcessLog, notes_of
from support.namespaces import Roles, rule

pytestmark = pytest.mark.cluster

NAME: Final = "bailiwick-witness"


def stored(callers: Callers, namespace: str, name: str, data: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}
    assert callers.admin.create(body | {"data": data}).ok


def verify(cluster: Cluster, namespace: str, person: str, *arguments: str) -> Ran:
    flags = ("--checkpoints", "cluster", "-n", namespace)
    return commandline.run("audit", "verify", *arguments, *flags, kubeconfig=cluster.kubeconfig(person))


def test_what_lives_and_what_was_put_away_is_read_from_the_cluster(
    cluster: Cluster, callers: Callers, namespace: str, roles: Roles, tmp_path: Path
) -> None:
    one, over = ProcessLog(2).records(4), ProcessLog(3).records(4).close()
    (tmp_path / "log").write_bytes(b"".join([*one.lines, *over.lines]))
    roles.give([rule("", "configmaps", "get")], "eve")
    missing = verify(cluster, namespace, "eve", str(tmp_path / "log"))
    assert (missing.code, f"there is no ConfigMap {NAME} in {namespace}" in missing.err) == (2, True), missing
    entries = [{log.id: json.dumps({"pod": "p", "checkpoint": log.checkpoint()})} for log in (one, over)]
    stored(callers, namespace, NAME, entries[0] | {"witness.vkey": f"{WITNESS_KEY}\n"})
    stored(callers, namespace, f"{NAME}-11", entries[1])
    ran = verify(cluster, namespace, "eve", str(tmp_path / "log"))
    assert (ran.code, "intact as far as a witness saw: 2" in ran.out) == (0, True), ran
    assert "the witness's key is the cluster's own" in ran.err
    kept = verify(cluster, namespace, "eve", str(tmp_path / "log"), "--witness-key", str(WITNESS_KEY))
    assert (kept.code, "the cluster's own" in kept.err) == (0, False), kept
    newest = commandline.run("audit", "checkpoint", "-n", namespace, kubeconfig=cluster.kubeconfig("eve"))
    assert (newest.code, len(notes_of(newest.out))) == (0, 2), newest
    (tmp_path / "notes").write_text(newest.out)
    again = ("--checkpoints", str(tmp_path / "notes"), "--witness-key", str(WITNESS_KEY))
    later = commandline.run("audit", "verify", str(tmp_path / "log"), *again)
    assert (later.code, later.out) == (0, kept.out), later
    (tmp_path / "cut").write_bytes(b"".join(one.lines))
    cut = verify(cluster, namespace, "eve", str(tmp_path / "cut"))
    assert (cut.code, "missing" in cut.out) == (1, True), cut
    refused = verify(cluster, namespace, "mallory", str(tmp_path / "log"))
    assert refused.code == 2, refused
