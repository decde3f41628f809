"""docs/how-to/divide-logs.md on a node: the pods of its Job read an S3 server, and come to what one process prints."""

from pathlib import Path
from typing import Final

from localcluster.node import images
from localcluster.node.cluster import NodeCluster
from localcluster.progress import Silent
from support.callers import Callers
from support.evidence.installationlogs import write_witnessed_logs
from support.installation import accepted
from support.namespaces import Namespaces
from support.node.pods import RESTRICTED
from support.objectstore import s3_server
from support.shell import Shell, succeeded

IMAGE: Final = "registry.example/bailiwick-cli:0.2.0"


def test_the_pods_of_the_job_come_to_what_one_process_prints(
    node: NodeCluster, callers: Callers, namespaces: Namespaces, tmp_path: Path
) -> None:
    (image,) = images.ensure(Silent(), ("cli",))
    node.load(image.archive)
    namespace = namespaces.make("audit", RESTRICTED)
    write_witnessed_logs(tmp_path)
    with s3_server(tmp_path, host=str(node.network.host)) as server:
        logs = {f"2026/{name}": (tmp_path / name).read_bytes() for name in ("decisions.log", "ledger.log")}
        server.put(server.bucket("bailiwick-records"), logs)
        metadata = {"name": "store-reader", "namespace": namespace}
        reader = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": server.environment}
        accepted(callers.admin.create(reader))
        shell = Shell(node.cluster, "how-to/divide-logs.md", tmp_path, **server.environment)
        here = {"-n audit": f"-n {namespace}"}
        succeeded(shell.run("kubectl bailiwick audit verify s3://", **here, **{IMAGE: image.reference}))
        summed = shell.run("kubectl create -f job.yaml", **here)
        alone = shell.type(
            "kubectl bailiwick audit verify s3://bailiwick-records/2026 --witness-key witness.vkey"
            " --checkpoints checkpoints.notes"
        )
    assert alone.stdout.startswith("Nothing removed or changed up to "), alone
    assert (summed.returncode, summed.stdout[-len(alone.stdout) :]) == (alone.returncode, alone.stdout), summed
