"""The Job of a divided command, at a real API server, in a namespace of the strictest Pod Security Standard."""

from pathlib import Path

import yaml

from support import commandline
from support.callers import Callers
from support.evidence.logs import WITNESS_KEY
from support.releases import MANAGER, RESTRICTED, strictly


def test_the_api_server_takes_the_job_and_its_files(namespace: str, callers: Callers, tmp_path: Path) -> None:
    metadata = {"name": namespace, "labels": RESTRICTED}
    assert callers.admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, MANAGER).ok
    (tmp_path / "witness.vkey").write_text(f"{WITNESS_KEY}\n", encoding="utf-8")
    words = ("s3://records/2026", "--witness-key", str(tmp_path / "witness.vkey"), "--policies", "ledger")
    job = ("--shards", "8", "--as-job", "audit-2026", "--image", "registry.example/bailiwick-cli:0.1.0")
    ran = commandline.run("audit", "verify", *words, *job, "--env-from", "store-reader", "-n", namespace)
    assert ran.code == 0, ran
    documents = list(yaml.safe_load_all(ran.out))
    assert [one["kind"] for one in documents] == ["ConfigMap", "Job"]
    for document in documents:
        answer = strictly(callers.admin, document)
        assert answer.ok, answer.message
        # The profile is judged of a Job too, and said in a warning.
        assert "Warning" not in answer.headers, answer.headers["Warning"]
