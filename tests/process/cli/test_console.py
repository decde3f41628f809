"""The console as a process: where it listens, what it tells whom, and how it ends. The API server is a table here."""

import json
import re
import shlex
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bailiwick_cli.commands import console as console_command
from bailiwick_cli.verbs.consoleverbs import ConsoleFlags
from bailiwick_governance import extras
from bailiwick_governance.errors import UserError
from support import commandline
from support.console import consoleprocess
from support.decisions import written
from support.evidence.logs import WITNESS_KEY, ProcessLog
from support.httpthreads import Reply, ThreadedServer
from support.pages import DOCS, blocks
from support.waits import until

RECORDER = """#!{python}
import pathlib, stat, sys, urllib.parse
page = pathlib.Path(urllib.parse.urlsplit(sys.argv[1]).path)
told = {{"arguments": sys.argv[1:], "page": page.read_text(), "mode": stat.S_IMODE(page.stat().st_mode),
         "folder": stat.S_IMODE(page.parent.stat().st_mode)}}
import json
pathlib.Path({out!r} + ".part").write_text(json.dumps(told))
pathlib.Path({out!r} + ".part").rename({out!r})
"""


class Carol(ThreadedServer):
    """Answers who somebody is, and nothing else."""

    def posted(self, path: str, headers: dict[str, str], body: bytes) -> Reply:
        review = {"status": {"userInfo": {"username": "carol", "groups": ["crm-owners"]}}}
        return (201, json.dumps(review).encode()) if path.endswith("/selfsubjectreviews") else (404, b"{}")


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with Carol() as server:
        file = tmp_path / "kubeconfig"
        context = {"cluster": "c", "user": "u", "namespace": "crm"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": server.url}}],
            "users": [{"name": "u", "user": {"token": "never-shown"}}],
            "contexts": [{"name": "c", "context": context}],
        }
        file.write_text(json.dumps(config))
        yield file


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_it_ends_with_its_terminal_and_says_so(kubeconfig: Path, number: int) -> None:
    with consoleprocess.started(kubeconfig=kubeconfig) as console:
        visit = console.site.visit()
        # The page is of an API server that knows no grants; it is there all the same.
        assert visit.get("/").status in {404, 502}
        assert console.end(number) == 0
        console.await_said("The console has ended.")
        with pytest.raises(OSError, match="refused"):
            visit.get("/")
    assert "never-shown" not in console.said


def test_what_is_no_request_puts_nothing_on_the_terminal(kubeconfig: Path) -> None:
    with consoleprocess.started(kubeconfig=kubeconfig) as console:
        port = int(console.site.host.rpartition(":")[2])
        said = console.said
        for sent in (
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\r\n\r\n",
            b"GET /\x00 HTTP/1.1\r\nHost: a\r\nHost\r\n\r\n",
        ):
            with socket.create_connection(("127.0.0.1", port), 20) as connection:
                connection.sendall(sent)
                assert connection.recv(12).startswith(b"HTTP/1")
        assert console.end() == 0
    # To the last line: it has ended, and all that it told was read.
    assert console.said.removeprefix(said).strip() == "The console has ended."


def test_it_listens_on_loopback_alone_and_on_all_of_it(kubeconfig: Path) -> None:
    with consoleprocess.started(kubeconfig=kubeconfig) as console:
        port = urlsplit(console.url).port
        assert port is not None
        inodes = {
            str(entry.readlink()) for entry in Path(f"/proc/{console.process.pid}/fd").iterdir() if entry.exists()
        }
        listening = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/{console.process.pid}/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    listening.add(fields[1].partition(":")[0])
        loopback = {"0100007F"} | ({"00000000000000000000000001000000"} if _has_ipv6() else set())
        assert listening == loopback


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_each_run_has_a_name_and_a_url_of_its_own(kubeconfig: Path) -> None:
    with consoleprocess.started(kubeconfig=kubeconfig) as one, consoleprocess.started(kubeconfig=kubeconfig) as other:
        assert one.site.host.endswith(f".bailiwick.localhost:{urlsplit(one.url).port}")
        assert one.site.host.partition(":")[0] != other.site.host.partition(":")[0]
        assert one.url.partition("token=")[2] != other.url.partition("token=")[2]


def test_the_browser_is_told_a_file_of_the_persons_own_and_never_the_url(kubeconfig: Path, tmp_path: Path) -> None:
    out, recorder = tmp_path / "told.json", tmp_path / "browser"
    recorder.write_text(RECORDER.format(python=sys.executable, out=str(out)))
    recorder.chmod(0o700)
    with consoleprocess.started(kubeconfig=kubeconfig, browser=True, env={"BROWSER": f"{recorder} %s"}) as console:
        token = console.url.partition("token=")[2]
        until(out.exists, "the browser was started")
        told = json.loads(out.read_text())
        page = Path(urlsplit(told["arguments"][0]).path)
        assert token not in str(told["arguments"])
        assert token in told["page"]
        assert (told["mode"], told["folder"]) == (stat.S_IRUSR | stat.S_IWUSR, stat.S_IRWXU)
        assert console.end() == 0
    assert not page.parent.exists()


def test_no_browser_is_started_if_none_is_wanted(kubeconfig: Path, tmp_path: Path) -> None:
    out, recorder = tmp_path / "told.json", tmp_path / "browser"
    recorder.write_text(RECORDER.format(python=sys.executable, out=str(out)))
    recorder.chmod(0o700)
    with consoleprocess.started(kubeconfig=kubeconfig, env={"BROWSER": f"{recorder} %s"}) as console:
        console.site.visit()
    assert not out.exists()


def test_who_cannot_be_told_serves_nothing(tmp_path: Path) -> None:
    ran = commandline.run("console", "--no-browser", kubeconfig=tmp_path / "none")
    assert (ran.code, ran.err.startswith("error: no kubeconfig at ")) == (2, True), ran


@pytest.mark.parametrize(
    ("arguments", "user"),
    [(("--as", "dave"), {}), (("--as", "dave", "--as-group", "ops"), {}), ((), {"as": "dave"})],
    ids=["user", "group", "kubeconfig"],
)
def test_nobody_acts_as_somebody_else_on_a_page(
    kubeconfig: Path, arguments: tuple[str, ...], user: dict[str, str]
) -> None:
    config = json.loads(kubeconfig.read_text())
    config["users"][0]["user"] |= user
    kubeconfig.write_text(json.dumps(config))
    ran = commandline.run("console", "--no-browser", *arguments, kubeconfig=kubeconfig)
    assert (ran.code, ran.err.startswith("error: the console acts only as you")) == (2, True), ran


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "jinja2" else object())
    flags = ConsoleFlags(
        namespace=None, context=None, kubeconfig="/nowhere", as_user=None, as_group=None, request_timeout=None
    )
    with pytest.raises(
        UserError, match=r"the console needs jinja2.*bailiwick-authz\[console\].*pip install '\.\[console\]'"
    ):
        console_command.run(flags)


def told(text: str) -> str:
    """Return what a console told, without what is of one run alone."""
    named = re.sub(r"r[0-9a-f]{16}\.bailiwick\.localhost:\d+", "HERE", text)
    return re.sub(r"token=\S+", "token=...", named)


def test_the_page_shows_what_is_typed_and_what_is_told(kubeconfig: Path, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "witness.vkey").write_text(str(WITNESS_KEY), encoding="utf-8")
    there = {"logs/": str(tmp_path / "logs"), "witness.vkey": str(tmp_path / "witness.vkey")}
    typed = [line for block in blocks("how-to/console.md", "sh") for line in block.splitlines()]
    commands = [line for line in typed if line.startswith("kubectl bailiwick ")]
    assert len(commands) == 5
    page = (DOCS / "how-to" / "console.md").read_text(encoding="utf-8")
    (said,) = re.findall(r"^```\n(The console .*?)^```$", page, re.MULTILINE | re.DOTALL)
    for command in commands:
        arguments = [there.get(word, word) for word in shlex.split(command)[3:] if word != "--no-browser"]
        with consoleprocess.started(*arguments, kubeconfig=kubeconfig) as console:
            assert console.url
            assert told(console.said) == told(said)


def test_the_strip_is_read_where_bailiwick_is_said_to_be_installed(kubeconfig: Path) -> None:
    with consoleprocess.started("--installation", "authz", kubeconfig=kubeconfig) as console:
        page = console.site.visit().get("/")
    assert "ConfigMap bailiwick-guard in authz" in page.text


def test_decisions_are_read_of_the_files_that_were_named(kubeconfig: Path, tmp_path: Path) -> None:
    file = written(tmp_path / "decisions.log", ProcessLog().records(2))
    with consoleprocess.started("-n", "crm", "--records", str(file), kubeconfig=kubeconfig) as console:
        visit = console.site.visit()
        until(lambda: "2 of 2 lines of decisions" in visit.get("/decisions").text, "the records were read")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--records", "nowhere.log"], "nowhere.log is neither a file nor a folder"),
        (["--records", "-"], "standard input can be read only once"),
        (["--records", ".", "--witness-key", "none"], "none cannot be read"),
        (["--witness-key", "none"], "--witness-key is for --records"),
    ],
)
def test_records_that_are_none_are_refused_before_anything_is_served(
    kubeconfig: Path, words: list[str], said: str
) -> None:
    ran = commandline.run("console", "--no-browser", *words, kubeconfig=kubeconfig)
    assert (ran.code, said in ran.err, "http://" in ran.err) == (2, True, False)
