"""An API server, or what poses as one, that sends without end: a person's command ends with one line."""

import gzip
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from bailiwick_governance.apiserver.cluster import AnswerBounds, ClusterClient, TooLongAnswerError, client_of_token
from bailiwick_governance.errors import ApiError, UserError
from bailiwick_governance.fleet.reading import ClusterUnansweredError, read_cluster

MIB = 1024 * 1024
BOUNDS = AnswerBounds(answer=2 * MIB, event=MIB, all_pages=4 * MIB, pages=20)
MOST_SENT = 256 * MIB
OBJECTS = {
    "/no-list": b'{"status": "ok"}',
    "/no-items": b'{"items": {"a": 1}}',
    "/null": b'{"items": null, "metadata": {"resourceVersion": "7"}}',
    "/apis": b'{"status": "ok"}',
}


class StreamingHandler(BaseHTTPRequestHandler):
    """Answers by its path. `sent`: the bytes that went out in answers without end."""

    protocol_version = "HTTP/1.1"
    sent = 0

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        limit = int(parse_qs(url.query).get("limit", ["0"])[0])
        match url.path:
            case "/endless" | "/endless-watch":
                self._endless(200)
            case "/endless-refusal":
                self._endless(500)
            case "/packed":
                self._whole(gzip.compress(b" " * 64 * MIB), "gzip")
            case "/large-objects":
                # Three objects of half a MiB fit, and more do not.
                items = [{"text": "x" * (MIB // 2)}] * min(limit, 8)
                more = {"continue": "next"} if "continue" not in url.query else {}
                self._whole(json.dumps({"items": items, "metadata": {"resourceVersion": "7", **more}}).encode())
            case "/again-and-again":
                self._whole(b'{"items": [], "metadata": {"continue": "again"}}')
            case "/many-large-pages":
                page = {"items": [{"text": "x" * MIB}], "metadata": {"continue": "more"}}
                self._whole(json.dumps(page).encode())
            case "/deep":
                self._whole(b"[" * 100_000)
            case "/cut":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"{")
                self.close_connection = True
            case _:
                kind = "/apis" if url.path.startswith("/apis/") else url.path
                self._whole(OBJECTS.get(kind, b"[]"))

    def _whole(self, body: bytes, encoding: str | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if encoding is not None:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        self.wfile.write(body)

    def _endless(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(1024 * MOST_SENT))
        self.end_headers()
        self.close_connection = True
        try:
            while StreamingHandler.sent < MOST_SENT:
                StreamingHandler.sent += self.wfile.write(b" " * 64 * 1024)
        except OSError:
            return

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - as the base has it
        """Say nothing."""


class StreamingServer(ThreadingHTTPServer):
    """Says nothing of clients that leave."""

    def handle_error(self, request: object, client_address: object) -> None:
        """A client left: that is what is tested."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that streams."""
    listening = StreamingServer(("127.0.0.1", 0), StreamingHandler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    listening.server_close()


@pytest.fixture
def client(server: str) -> ClusterClient:
    """A client of it with small bounds."""
    StreamingHandler.sent = 0
    return client_of_token(server, None, lambda: "token", BOUNDS)


@pytest.mark.parametrize("path", ["/endless", "/endless-refusal", "/packed"])
def test_an_answer_is_read_only_as_far_as_its_bound(client: ClusterClient, path: str) -> None:
    with pytest.raises(TooLongAnswerError, match="sends more than 2 MiB at once"):
        client.get(path)
    # What lies in the buffers of both ends was sent too.
    assert StreamingHandler.sent < 64 * MIB


def test_an_event_of_a_watch_is_read_only_as_far_as_its_bound(client: ClusterClient) -> None:
    with pytest.raises(TooLongAnswerError, match="sends more than 1 MiB at once"):
        list(client.watch("/endless-watch", "1", 5))
    assert StreamingHandler.sent < 64 * MIB


def test_large_objects_only_make_pages_smaller(client: ClusterClient) -> None:
    items, version = client.list_all("/large-objects")
    assert (len(items), version) == (4, "7")


@pytest.mark.parametrize("path", ["/no-list", "/no-items", "/deep"])
def test_an_object_that_is_no_list_is_not_one_without_items(client: ClusterClient, path: str) -> None:
    with pytest.raises(UserError, match="did not answer like a Kubernetes API server"):
        client.list_all(path)
    assert client.list_all("/null") == ([], "7")


def test_a_cluster_that_answers_everything_with_some_object_was_not_asked(client: ClusterClient) -> None:
    """A default backend of a load balancer, say: a cluster without policies would be well."""
    with pytest.raises(ClusterUnansweredError, match="it does not answer"):
        read_cluster("east", client, "bailiwick-system", None, with_data=False)


@pytest.mark.parametrize("path", ["/again-and-again", "/many-large-pages"])
def test_a_list_without_end_is_left(client: ClusterClient, path: str) -> None:
    with pytest.raises(UserError, match=r"lists more than 4 MiB or 20 pages at /.*: ask for less"):
        client.list_all(path)


@pytest.mark.parametrize("path", ["/deep", "/no-object"])
def test_what_is_no_object_is_no_answer_of_an_api_server(client: ClusterClient, path: str) -> None:
    with pytest.raises(UserError, match="did not answer like a Kubernetes API server"):
        client.get(path)


def test_an_answer_that_breaks_off_is_no_answer(client: ClusterClient) -> None:
    with pytest.raises(UserError, match="does not answer") as refusal:
        client.get("/cut")
    assert not isinstance(refusal.value, ApiError)
