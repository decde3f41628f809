"""The registry of the CNCF's project distribution, over TLS, with an authority of its own."""

import hashlib
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import requests
import yaml

from localcluster import process
from localcluster.node import needs
from localcluster.pki import Authority
from localcluster.ports import free_ports
from localcluster.process import RunningProcess
from support.waits import until

_MANIFESTS: Final = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"


class Registry:
    """Runs while its block does."""

    def __init__(self, program: Path, folder: Path, address: str = "127.0.0.1") -> None:
        """Prepare it at an address of this machine; nothing runs yet."""
        self._program: Final = program
        self._folder: Final = folder
        self._running: RunningProcess | None = None
        (port,) = free_ports(1)
        self.host: Final = f"{address}:{port}"
        authority = Authority.at(folder / "pki", "ca")
        self.authority: Final = authority.certificate
        self._serving: Final = authority.serving("registry", ["localhost", address])

    def __enter__(self) -> Self:
        """Start, and wait until it answers."""
        tls = {"certificate": str(self._serving.certificate), "key": str(self._serving.key)}
        settings = {
            "version": "0.1",
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "data")}},
            "http": {"addr": self.host, "secret": "of the tests", "tls": tls},
        }
        file = self._folder / "config.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        self._running = process.spawn("registry", [self._program, "serve", file], self._folder / "log")
        until(self._answers, "the registry answers", 60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        if self._running is not None:
            process.stop([self._running.id])
            self._running.handle.wait()

    def push(self, layout: Path, repository: str, tag: str) -> str:
        """Copy an OCI layout in a tar file into a repository; returns the reference by digest that it then has."""
        name = self._name(repository, tag)
        self._skopeo("copy", "--all", "--dest-cert-dir", self._trust(), f"oci-archive:{layout}", name)
        digest = self._skopeo("inspect", "--raw", "--cert-dir", self._trust(), name)
        return f"{self.host}/{repository}@{_digest(digest)}"

    def manifest(self, repository: str, reference: str) -> bytes:
        """Return the bytes of a manifest."""
        answer = self._get(f"{repository}/manifests/{reference}")
        answer.raise_for_status()
        return answer.content

    def blob_file(self, digest: str) -> Path:
        """Return where the registry keeps a blob."""
        kind, _, digits = digest.partition(":")
        return self._folder / "data" / "docker/registry/v2/blobs" / kind / digits[:2] / digits / "data"

    def _answers(self) -> bool:
        try:
            return self._get("").ok
        except requests.ConnectionError:
            return False

    def _get(self, path: str) -> requests.Response:
        return requests.get(
            f"https://{self.host}/v2/{path}", headers={"Accept": _MANIFESTS}, verify=str(self.authority), timeout=30
        )

    def _trust(self) -> Path:
        """Return a folder as containers' tools want it."""
        folder = self._folder / "trust"
        folder.mkdir(exist_ok=True)
        (folder / "ca.crt").write_bytes(self.authority.read_bytes())
        return folder

    def _name(self, repository: str, tag: str) -> str:
        return f"docker://{self.host}/{repository}:{tag}"

    def _skopeo(self, *arguments: str | Path) -> bytes:
        program = needs.find("skopeo")
        assert program is not None, "skopeo is missing: `python -m releasemaker packages`"
        done = subprocess.run([program, *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
