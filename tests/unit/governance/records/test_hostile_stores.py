"""What an object store can send to the reader of logs: it holds no more than it asked for, and reads each object.

A server of our own stands for the store: no real one lists an object twice, or answers with more than was asked for.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from bailiwick_governance.errors import UserError
from bailiwick_governance.records import objectstores
from bailiwick_governance.records.logfiles import LogFiles
from support.objectstore import environment

_MEGABYTE: Final = 1 << 20
_TOO_MUCH: Final = 300 * _MEGABYTE
_STAMP: Final = "Thu, 01 Jan 2026 00:00:00 GMT"


class HostileStore(BaseHTTPRequestHandler):
    """Serves one bucket. `surplus`: bytes that it sends beyond a range; `endless`: its list never ends."""

    protocol_version = "HTTP/1.1"
    objects: Mapping[str, bytes] = {}
    surplus = 0
    endless = False
    pages = 0

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_HEAD(self) -> None:
        """Have no object of the prefix itself."""
        self._answer(404, b"")

    def do_GET(self) -> None:
        """List, or send an object."""
        address = urlsplit(self.path)
        if "list-type" in parse_qs(address.query):
            self._list()
            return
        content = self.objects.get(unquote(address.path).removeprefix("/records/"))
        if content is None:
            self._answer(404, b"")
            return
        begin, end = (int(one) for one in self.headers["Range"].removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("ETag", '"1"')
        self.send_header("Last-Modified", _STAMP)
        self.send_header("Content-Range", f"bytes {begin}-{end}/{len(content)}")
        self.send_header("Content-Length", str(end + 1 - begin + self.surplus))
        self.end_headers()
        self.wfile.write(content[begin : end + 1])
        with suppress(OSError):
            for _ in range(self.surplus // _MEGABYTE):
                self.wfile.write(bytes(_MEGABYTE))

    def _list(self) -> None:
        type(self).pages += 1
        entries = "".join(
            f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>1</ETag>"
            f"<Size>{len(content)}</Size></Contents>"
            for key, content in self.objects.items()
        )
        more = "<IsTruncated>true</IsTruncated><NextContinuationToken>on</NextContinuationToken>"
        ended = "<IsTruncated>false</IsTruncated>"
        # It does end, so that a reader that takes all of it fails the test instead of hanging.
        text = more if self.endless and self.pages < 50 else ended
        self._answer(200, f"<ListBucketResult><Name>records</Name>{text}{entries}</ListBucketResult>".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@contextmanager
def serving(
    monkeypatch: pytest.MonkeyPatch, objects: Mapping[str, bytes], **more: object
) -> Iterator[type[HostileStore]]:
    handler = type("ServedHostileStore", (HostileStore,), {"objects": objects, "pages": 0, **more})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in environment(server.server_port).items():
            monkeypatch.setenv(name, value)
        try:
            yield handler
        finally:
            server.shutdown()


def lines(place: str) -> list[bytes]:
    return [line for _, _, line in LogFiles([place]).texts()]


@pytest.mark.parametrize("other", ["logs/a/", "/logs/a"])
@pytest.mark.parametrize("place", ["s3://records/logs", "s3://records/logs/", "s3://records"])
def test_two_objects_that_read_as_one_are_an_error_and_none_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, place: str, other: str
) -> None:
    with serving(monkeypatch, {"logs/a": b"a long line\n", other: b"short\n"}), pytest.raises(UserError) as caught:
        lines(place)
    assert "logs/a is in the list twice" in str(caught.value)


def test_a_folder_of_the_name_of_an_object_is_no_object(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(monkeypatch, {"logs/a": b"a line\n", "logs/a/": b"", "logs/a/b": b"another\n"}):
        assert lines("s3://records/logs") == [b"a line", b"another"]


def test_a_list_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = {f"logs/{number:04}": b"a line\n" for number in range(1_000)}
    with serving(monkeypatch, objects, endless=True) as store, pytest.raises(UserError, match="in the list twice"):
        lines("s3://records/logs")
    # The library asks for the next pages while the last one is looked at.
    assert store.pages < 10


def test_a_list_that_is_too_long_to_hold_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectstores, "MOST_OBJECTS", 5)
    folders = {f"logs/{number}/": b"" for number in range(4)}
    with serving(monkeypatch, {"logs/a": b"a line\n", **folders}) as store:
        assert lines("s3://records/logs/") == [b"a line"]
        store.objects = {**store.objects, "logs/more/": b""}
        with pytest.raises(UserError, match="has more than 5 objects: name several longer prefixes"):
            lines("s3://records/logs/")


def peak() -> int:
    """Return the most bytes that this process has held since its peak began anew."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) << 10


def test_a_store_that_sends_more_than_was_asked_for_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    # The peak begins anew, at what this process holds (proc(5), clear_refs).
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    with serving(monkeypatch, {"logs/a": b"a line\n"}, surplus=_TOO_MUCH), pytest.raises(UserError) as caught:
        lines("s3://records/logs/")
    assert "cannot be read: its store sent another number of bytes than 7" in str(caught.value)
    assert peak() - before < _TOO_MUCH // 4
