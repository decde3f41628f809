"""An S3 server that is not ours, gofakes3, built from a pinned Go module like the programs of the test cluster.

Standing: what stands in it was put there by plain HTTP, and not by the library that reads it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import unescape

import requests

from localcluster import build
from localcluster.ports import free_ports
from localcluster.process import spawn, stop
from support.loopserver import LOOPBACK
from support.waits import until

KEY_ID: Final = "AKIDEXAMPLE"
SECRET: Final = "a-secret-of-an-object-store"
_KEY: Final = re.compile("<Key>([^<]*)</Key>")


@dataclass(frozen=True, slots=True)
class S3Server:
    """It listens at this port of an address of this machine."""

    port: int
    host: str = LOOPBACK

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process finds it by."""
        return environment(self.port, self.host)

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        requests.put(f"{self.url}/{name}", timeout=10).raise_for_status()
        return name

    def put(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Store objects."""
        for key, content in objects.items():
            requests.put(f"{self.url}/{bucket}/{quote(key)}", content, timeout=60).raise_for_status()

    def objects(self, bucket: str, prefix: str = "") -> dict[str, bytes]:
        """Return the objects whose name begins so, by their names in order; there are a thousand at most."""
        listed = requests.get(f"{self.url}/{bucket}", {"list-type": "2", "prefix": prefix}, timeout=30)
        listed.raise_for_status()
        keys = sorted(unescape(key) for key in _KEY.findall(listed.text))
        return {key: requests.get(f"{self.url}/{bucket}/{quote(key)}", timeout=60).content for key in keys}


def environment(port: int, host: str = LOOPBACK) -> dict[str, str]:
    """Return what a process finds a server by that listens at this port."""
    return {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "NO_PROXY": host,
    }


@contextmanager
def s3_server(folder: Path, *more: str, host: str = LOOPBACK) -> Iterator[S3Server]:
    """Run one without a bucket. `more`: flags that choose another backend than memory."""
    programs = build.ensure(build.gofakes3())
    (port,) = free_ports(1, host)
    flags = more or ("-backend", "memory")
    running = spawn("gofakes3", [programs / "gofakes3", *flags, "-host", f"{host}:{port}"], folder / "gofakes3.log")
    server = S3Server(port, host)
    try:
        until(lambda: _answers(server), "gofakes3 listens", 10)
        yield server
    finally:
        stop([running.id])
        running.handle.wait()


def _answers(server: S3Server) -> bool:
    try:
        return requests.get(server.url, timeout=5).ok
    except requests.ConnectionError:
        return False
