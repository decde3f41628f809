"""Logs that are read from an object store: as the same bytes in files are, or not at all."""

import gzip
import io
import itertools
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import Phase, given, settings, strategies as st

from bailiwick_cli.main import app
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_evidence.derive.versions import engine_versions
from bailiwick_governance.errors import UserError
from bailiwick_governance.records import logfiles
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.records.tilefiles import tile_files
from support import commandline
from support.commandline import Ran
from support.decisions import crm_calls, decided, ledger_of
from support.evidence.logs import BEGAN, WITNESS_KEY, ProcessLog
from support.evidence.tilelogs import EAST, EAST_KEY, LOG_KEY, log_files, process_log
from support.faultkinds import Act, CutError, Exchange, Reply
from support.faultproxy import FaultFront
from support.loopserver import LOOPBACK
from support.objects import Object
from support.objectstore import KEY_ID, SECRET, S3Server, environment, s3_server
from support.offlineshell import OfflineShell
from support.pages import DOCS, script

EXAMPLE: Final = (DOCS.parent / "examples" / "crm" / "policy.yaml").read_text(encoding="utf-8")
STANDS: Final[Object] = yaml.safe_load(EXAMPLE)
NUMBERS: Final = itertools.count()
ACTIONS: Final = ("customers.list", "customers.export", "customers.delete", "unheard.of")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.bucket(f"logs-{next(NUMBERS)}")


@dataclass(frozen=True)
class DrawnLog:
    """Logs as bytes, and how they are cut into objects: the name of each, and what is in it."""

    whole: bytes
    objects: Mapping[str, bytes]
    notes: str
    between_lines: bool


def packed(piece: bytes, how: str) -> bytes:
    """Return a piece as it is stored: plain, as one member of gzip, or as two."""
    half = len(piece) // 2
    match how:
        case "plain":
            return piece
        case "one":
            return gzip.compress(piece)
        case _:
            return gzip.compress(piece[:half]) + gzip.compress(piece[half:])


def drawn_log(rng: random.Random) -> DrawnLog:
    """Draw logs of two decision points and a ledger, damaged or not, cut anywhere or between lines, in any order."""
    points = [
        decided([STANDS], crm_calls(rng.choices(ACTIONS, k=rng.randint(1, 30))), log=log, began=BEGAN)
        for log in (ProcessLog(number, **dict[str, Any](engine_versions())) for number in (2, 3))
    ]
    lines = [line for log in (*points, ledger_of([STANDS])) for line in log.lines]
    for _ in range(rng.randint(0, 2)):
        at = rng.randrange(len(lines))
        lines[at] = rng.choice([b"", lines[at].replace(b"customers", b"strangers")])
    whole = b"".join(lines)
    between_lines = rng.random() < 0.5
    ends = [0, *itertools.accumulate(map(len, lines))] if between_lines else range(len(whole))
    cuts = sorted({0, len(whole), *rng.choices(ends, k=rng.randint(0, 6))})
    pieces = [whole[begin:end] for begin, end in itertools.pairwise(cuts)]
    names = [f"2026/{number:02}/part.log" for number in range(len(pieces))]
    if rng.random() < 0.5:
        rng.shuffle(names)
    stored = {
        name: packed(piece, rng.choice(["plain", "one", "two"])) for name, piece in zip(names, pieces, strict=True)
    }
    return DrawnLog(whole, stored, "".join(log.checkpoint() for log in points), between_lines)


def commands(folder: Path) -> dict[str, Callable[..., tuple[str, ...]]]:
    """Return each command that reads logs, of the places where they are."""
    policies, notes = str(folder / "policies"), str(folder / "notes")
    witness = ("--checkpoints", notes, "--witness-key", str(WITNESS_KEY))
    return {
        "verify": lambda *places: ("audit", "verify", *places, *witness, "--policies", "ledger", "-o", "json"),
        "replay": lambda *places: ("replay", *places, "--candidate", policies, "-o", "json"),
        "unused": lambda *places: ("unused", *places, "-f", policies, "--window", "1h", "-o", "json"),
        "suggest": lambda *places: ("suggest", *places, "-f", policies, "--since", "2020-01-01", "-o", "json"),
    }


def run_here(server: S3Server, *words: str) -> Ran:
    """Run in this process, since a law runs hundreds."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in server.environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            app(words)
    return Ran(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def result(ran: Ran) -> tuple[int, str]:
    """Return how a run ended and what it printed; without how fast a replay was, which is no result."""
    if '"slowdown"' in ran.out:
        body = json.loads(ran.out)
        del body["time"]
        return ran.code, json.dumps(body)
    return ran.code, ran.out


# What is drawn from a seed cannot be made smaller, and is too long to be shown.
@settings(phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_a_log_in_objects_gives_each_command_what_it_gives_in_a_file(
    server: S3Server, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    drawn = drawn_log(random.Random(seed))  # noqa: S311 - logs, and no secrets
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "policies").mkdir()
    (folder / "policies" / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
    (folder / "notes").write_text(drawn.notes, encoding="utf-8")
    (folder / "whole.log").write_bytes(drawn.whole)
    bucket = server.bucket(f"drawn-{next(NUMBERS)}")
    server.put(bucket, drawn.objects)
    for name, content in drawn.objects.items():
        path = folder / "stored" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    for name, words in commands(folder).items():
        # Of a line that is cut into three, the order of the files decides what can be joined.
        files = [folder / "whole.log"] if drawn.between_lines else sorted((folder / "stored").rglob("*.log"))
        expected = result(run_here(server, *words(*map(str, files))))
        assert expected[1] or expected[0] == 2, name
        for place in (f"s3://{bucket}/2026", f"file://{folder}/stored"):
            found = run_here(server, *words(place))
            assert result(found) == expected, (name, place, found.err)


def verify(place: str, env: Mapping[str, str], *words: str) -> Ran:
    return commandline.run("audit", "verify", place, "-o", "json", *words, env=env)


def a_log() -> bytes:
    return b"".join(ProcessLog(2).records(40).close().lines)


def test_names_of_objects_are_taken_as_they_are(server: S3Server, bucket: str) -> None:
    lines = ProcessLog(2).records(9).close().lines
    odd = [
        "a b.log",
        "a#b%20.log",
        "ü.log",
        "a+b=c&d.log",
        "~.log",
        "'.log",
        "x.log/y",
        "x.log",
        "(1).log",
        "[2].log",
        "é",
    ]
    server.put(bucket, {f"p/{name}": line for name, line in zip(odd, lines, strict=True)})
    server.put(bucket, {"p2/other.log": a_log().replace(b"pod-2", b"pod-9"), "p/folder/": b""})
    for place in (f"s3://{bucket}/p", f"s3://{bucket}/p/"):
        found = verify(place, server.environment)
        assert json.loads(found.out)["totals"]["lines"] == 11, found
    one = verify(f"s3://{bucket}/p/x.log", server.environment)
    assert json.loads(one.out)["totals"]["lines"] == 2, "the object of this name, and the one below it"
    assert json.loads(verify(f"s3://{bucket}/p/a b.log", server.environment).out)["totals"]["lines"] == 1


def test_more_objects_than_one_page_of_a_list_are_all_read(server: S3Server, bucket: str) -> None:
    log = ProcessLog(2).records(1_100).close()
    server.put(bucket, {f"{number}.log": line for number, line in enumerate(log.lines)})
    found = json.loads(verify(f"s3://{bucket}", server.environment).out)
    assert found["totals"]["lines"] == len(log.lines) == 1_102


def test_an_object_longer_than_one_request_is_read_whole(server: S3Server, bucket: str) -> None:
    log = ProcessLog(2)
    rng = random.Random(4)  # noqa: S311 - likewise
    while sum(map(len, log.lines)) < 9 << 20:
        log.add(evaluation_id=str(len(log.lines)), decision=True, more=rng.randbytes(15_000).hex())
    log.close()
    server.put(bucket, {"plain.log": b"".join(log.lines[:100]), "rest.gz": gzip.compress(b"".join(log.lines[100:]), 1)})
    found = json.loads(verify(f"s3://{bucket}", server.environment).out)
    assert (found["totals"]["lines"], found["totals"]["torn"], found["totals"]["outside"]) == (len(log.lines), 0, 0)


REFUSED: Final = {
    "another scheme": ("https://example.org/logs", "logs are not read from https://"),
    "no bucket": ("s3:///logs", "names no bucket"),
    "a bucket that is none": ("s3://a b/logs", "names no bucket"),
    "credentials": ("s3://AKID:hushhush@bucket/logs", "has no query and no user"),
    "a signature": ("az://container/logs?sv=2026&sig=hushhush", "has no query and no user"),
    "a way up": ("s3://bucket/logs/../secrets", "a prefix has no empty part"),
    "an empty part": ("gs://bucket/logs//x", "a prefix has no empty part"),
    "a folder's way up": ("file:///logs/../etc", "without .."),
    "another machine's folder": ("file://machine/logs", "without .."),
    "a folder that is not there": ("file:///nowhere/at/all", "cannot be read: No such file"),
}


@pytest.mark.parametrize(("place", "said"), REFUSED.values(), ids=REFUSED)
def test_a_url_that_is_none_is_refused_before_anything_is_asked(place: str, said: str) -> None:
    # Whoever asked would wait for it.
    found = verify(place, environment(9))
    assert (found.code, found.out) == (2, ""), found
    assert said in found.err
    assert "hushhush" not in found.err


def test_what_a_store_refuses_is_said_without_what_it_answered(server: S3Server, bucket: str) -> None:
    absent = verify("s3://not-there/logs", server.environment)
    assert (absent.code, absent.out) == (2, "")
    assert "s3://not-there/logs cannot be listed: there is no such bucket (404 NoSuchBucket)" in absent.err
    empty = verify(f"s3://{bucket}/nothing", server.environment)
    assert (empty.code, "no object there" in empty.err) == (2, True), empty
    unset = verify(f"s3://{bucket}", {**server.environment, "AWS_SECRET_ACCESS_KEY": ""})
    clear = verify(f"s3://{bucket}", {**server.environment, "AWS_ALLOW_HTTP": "false"})
    assert (clear.code, "set AWS_ALLOW_HTTP=true" in clear.err) == (2, True), clear
    for found in (absent, empty, unset, clear):
        assert SECRET not in found.err
        assert KEY_ID not in found.err


class CutReply(Reply):
    """One that says how long it is, and ends before."""

    def encoded(self) -> bytes:
        return super().encoded()[:-9]


async def cut_body(exchange: Exchange) -> None:
    reply = await exchange.forward()
    await exchange.deliver(CutReply(reply.status, reply.headers, reply.body))
    raise CutError


def shortened(reply: Reply) -> Reply:
    return Reply(reply.status, reply.headers, (reply.body or b"")[:-9])


def another_version(reply: Reply) -> Reply:
    headers = [(name, '"0"' if name.lower() == "etag" else value) for name, value in reply.headers]
    return Reply(reply.status, headers, reply.body)


def answered(change: Callable[[Reply], Reply]) -> Act:
    async def act(exchange: Exchange) -> None:
        await exchange.deliver(change(await exchange.forward()))

    return act


def denied(reply: Reply) -> Reply:
    words = f"<Error><Code>AccessDenied</Code><Message>{KEY_ID} {SECRET}</Message></Error>"
    return Reply(403, [], words.encode())


FAULTS: Final = {
    "an object whose answer always breaks off": ("GET", r"/part-5\.log", cut_body, None, "part-5.log cannot be read"),
    "an object that is sent short": ("GET", r"/part-5\.log", answered(shortened), None, "part-5.log cannot be read"),
    "an object that may not be read": ("GET", r"/part-5\.log", answered(denied), None, "denies it: your credentials"),
    "a list that breaks in the middle": ("GET", r"continuation-token", cut_body, None, "cannot be listed"),
    "a list that is denied in the middle": ("GET", r"continuation-token", answered(denied), None, "denies it"),
}


def test_the_page_can_be_typed(server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point, ledger = decided([STANDS], crm_calls(["customers.list"] * 9), began=BEGAN), ledger_of([STANDS])
    bucket = server.bucket("bailiwick-records")
    server.put(bucket, {"crm/a.gz": gzip.compress(b"".join(point.lines)), "crm/b.log": b"".join(ledger.lines)})
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
    (tmp_path / "witness.vkey").write_text(str(WITNESS_KEY), encoding="utf-8")
    (tmp_path / "checkpoints.yaml").write_text(point.checkpoint() + "\n" + ledger.checkpoint(), encoding="utf-8")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    ran = OfflineShell(tmp_path).type(script("how-to/object-stores.md", "kubectl bailiwick audit verify"))
    assert (ran.code, "passes" in ran.out) == (0, True), ran


@pytest.mark.parametrize(("method", "path", "act", "times", "said"), FAULTS.values(), ids=FAULTS)
def test_what_breaks_off_is_an_error_and_never_the_end_of_a_log(
    server: S3Server, bucket: str, method: str, path: str, act: Act, times: int | None, said: str
) -> None:
    log = ProcessLog(2).records(1_100).close()
    notes = log.checkpoint(5)
    server.put(bucket, {f"part-{number}.log": line for number, line in enumerate(log.lines)})
    with FaultFront(LOOPBACK, server.port) as front:
        front.on(method, path, act, times)
        found = verify(f"s3://{bucket}/", environment(front.port))
    assert (found.code, found.out) == (2, ""), (found, notes)
    assert said in found.err
    assert KEY_ID not in found.err
    assert SECRET not in found.err


def test_an_object_that_changes_between_two_readings_is_an_error(server: S3Server, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "crm.yaml").write_text(EXAMPLE, encoding="utf-8")
    log, ledger = decided([STANDS], crm_calls(["customers.list"] * 5)), ledger_of([STANDS])
    server.put(bucket, {"part.log": b"".join((*log.lines, *ledger.lines))})
    words = ("unused", f"s3://{bucket}/", "-f", str(tmp_path), "-o", "json")
    with FaultFront(LOOPBACK, server.port) as front:
        assert commandline.run(*words, env=environment(front.port)).code == 0
        front.on("GET", r"/part\.log", answered(another_version))
        found = commandline.run(*words, env=environment(front.port))
    assert (found.code, found.out, "was changed while it was read" in found.err) == (2, "", True), found


class Terminal(io.StringIO):
    """What looks like a terminal, and keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_progress_goes_by_the_bytes_that_the_store_has(
    server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = {"a.gz": gzip.compress(a_log()), "b.log": b"".join(ProcessLog(3).records(200).lines)}
    server.put(bucket, objects)
    for name, value in {**server.environment, "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(logfiles, "_LONG", 1)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert len(list(LogFiles([f"s3://{bucket}"]).lines(LogAudit(WitnessBook(())), "Reading lines"))) == 243
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert re.findall(r"([0-9.]+)/([0-9.]+) kB", said)[-1] == (f"{sum(map(len, objects.values())) / 1000:.1f}",) * 2


def old_list(reply: Reply) -> Reply:
    """Say of the first part that it was stored long ago, and of the second that it was so half an hour ago."""
    stamps = iter(("2020-01-01T00:00:00.000Z", f"{datetime.now(UTC) - timedelta(minutes=30):%Y-%m-%dT%H:%M:%S.000Z}"))
    body = (reply.body or b"").decode()
    for part in ("part-0.log", "part-1.log"):
        body = re.sub(rf"({part}</Key>\s*<LastModified>)[^<]*", rf"\g<1>{next(stamps)}", body)
    return Reply(reply.status, reply.headers, body.encode())


def test_only_objects_that_hold_no_line_of_the_time_are_left_out(server: S3Server, bucket: str) -> None:
    lines = ProcessLog(2).records(9).close().lines
    server.put(bucket, {f"part-{number}.log": line for number, line in enumerate(lines)})
    with FaultFront(LOOPBACK, server.port) as front:
        front.on("GET", r"list-type=2", answered(old_list), times=None)
        found = verify(f"s3://{bucket}/", environment(front.port), "--modified-since", "10s")
        assert json.loads(found.out)["totals"]["lines"] == len(lines) - 1, found
        first = f"left out 1 of {len(lines)} objects, {len(lines[0])} bytes, which were last changed before "
        assert found.err.startswith(first), found
        every = verify(f"s3://{bucket}/", environment(front.port))
        assert json.loads(every.out)["totals"]["lines"] == len(lines)
    none = verify(f"s3://{bucket}/", server.environment, "--modified-since", "2999-01-01")
    assert (none.code, none.out, f"all {len(lines)} objects were last changed" in none.err) == (2, "", True), none
    files = verify("/dev/null", {}, "--modified-since", "24h")
    assert (files.code, "and none is named" in files.err) == (2, True), files


def test_a_break_that_passes_is_waited_for(server: S3Server, bucket: str) -> None:
    server.put(bucket, {"part.log": a_log()})
    with FaultFront(LOOPBACK, server.port) as front:
        fault = front.on("GET", r"/part\.log", answered(lambda _: Reply(503, [], b"")), times=2)
        found = verify(f"s3://{bucket}/", environment(front.port))
        assert fault.seen == 2
    assert json.loads(found.out)["totals"]["lines"] == 42, found


def test_a_folder_is_read_with_what_is_below_it_and_nothing_is_followed(tmp_path: Path) -> None:
    lines = ProcessLog(2).records(9).close().lines
    (tmp_path / "logs" / "a b" / "deep").mkdir(parents=True)
    (tmp_path / "logs" / "one.log").write_bytes(b"".join(lines[:4]))
    (tmp_path / "logs" / "a b" / "deep" / ".two.gz").write_bytes(gzip.compress(b"".join(lines[4:])))
    found = verify(f"file://{tmp_path}/logs", {})
    assert json.loads(found.out)["totals"]["lines"] == len(lines), found
    assert json.loads(verify(f"file://{tmp_path}/logs/a%20b", {}).out)["totals"]["lines"] == len(lines) - 4
    assert json.loads(verify(f"file://{tmp_path}/logs/one.log", {}).out)["totals"]["lines"] == 4
    (tmp_path / "logs" / "link").symlink_to(tmp_path)
    linked = verify(f"file://{tmp_path}/logs", {})
    assert (linked.code, linked.out, "link is neither a file nor a folder" in linked.err) == (2, "", True), linked


def test_without_the_extra_its_name_is_told_and_files_are_read_as_ever(tmp_path: Path) -> None:
    (tmp_path / "part.log").write_bytes(a_log())
    lacking = (
        "import sys; sys.modules['obstore'] = None\n"
        "import importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'obstore' else found(name, *more)\n"
        "from bailiwick_cli.main import main; main()"
    )

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-c", lacking, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    absent = run("audit", "verify", "s3://bucket/logs")
    assert (absent.returncode, absent.stdout) == (2, "")
    assert "s3:// needs obstore, which this installation lacks: install bailiwick-authz[cli,objects]" in absent.stderr
    for place in (str(tmp_path / "part.log"), f"file://{tmp_path}"):
        assert json.loads(run("audit", "verify", place, "-o", "json").stdout)["totals"]["lines"] == 42


def test_files_load_nothing_that_could_ask_a_store(tmp_path: Path) -> None:
    (tmp_path / "part.log").write_bytes(a_log())
    said = (
        "import sys\nfrom bailiwick_cli.main import main\n"
        "try:\n    main()\nexcept SystemExit: print('obstore' in sys.modules)"
    )
    command = [sys.executable, "-P", "-c", said, "audit", "verify", str(tmp_path / "part.log")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines()[-1] == "False", done


MEASURED: Final = """
from bailiwick_cli.main import main
try:
    main()
except SystemExit as ended:
    # Not ru_maxrss, which begins with what the parent had.
    (peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM:")]
    print(ended.code, int(peak.split()[1]) // 1024)
"""


def peak(server: S3Server, bucket: str) -> int:
    """Return the most memory in MiB that it takes to verify what is in a bucket."""
    command = [sys.executable, "-P", "-c", MEASURED, "audit", "verify", f"s3://{bucket}"]
    env = commandline.environment(None, server.environment)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=600)
    return int(done.stdout.split()[-1])


@pytest.mark.long
def test_memory_does_not_grow_with_the_log(server: S3Server) -> None:
    log, rng = ProcessLog(2), random.Random(4)  # noqa: S311 - likewise
    peaks = []
    for size in (50 << 20, 500 << 20):
        bucket = server.bucket(f"size-{size}")
        stored = 0
        while stored < size:
            begin = len(log.lines)
            for _ in range(1_000):
                log.add(evaluation_id=str(len(log.lines)), decision=True, more=rng.randbytes(15_000).hex())
            piece = b"".join(log.lines[begin:])
            stored += len(piece)
            # One long object after the other, half of them compressed.
            server.put(bucket, {f"{begin:09}.log": gzip.compress(piece, 1) if begin % 2_000 > 1_000 else piece})
            log.lines[begin:] = [b""] * 1_000
        peaks.append(peak(server, bucket))
    assert peaks[1] - peaks[0] < 16, peaks
    assert peaks[1] < 300, peaks


def test_a_log_of_all_clusters_is_read_from_a_store_as_from_a_folder(
    server: S3Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = process_log().records(3)
    (tmp_path / "log").write_bytes(b"".join(log.lines))
    files = log_files([b"entry %d" % number for number in range(300)] + [log.checkpoint(by=EAST).encode()])
    server.put(bucket, {f"clusters/{path}": content for path, content in files.items()})
    for path, content in files.items():
        (tmp_path / "clusters" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clusters" / path).write_bytes(content)
    flags = ("--witness-key", f"east={EAST_KEY}", "--cluster-log-key", str(LOG_KEY), "--cluster-log-age", "99999d")
    found = [
        commandline.run(
            "audit", "verify", str(tmp_path / "log"), "--cluster-log", place, *flags, env=server.environment
        )
        for place in (f"s3://{bucket}/clusters", f"{tmp_path}/clusters", f"file://{tmp_path}/clusters")
    ]
    assert [ran.code for ran in found] == [0, 0, 0], found
    assert found[0].out == found[1].out == found[2].out
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    read = tile_files(f"s3://{bucket}/clusters/")
    assert read("checkpoint", 5) == files["checkpoint"][:5]
    assert read("tile/entries/009", 5) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", environment(9)["AWS_ENDPOINT_URL"])
    broken = tile_files(f"s3://{bucket}/clusters")
    with pytest.raises(UserError, match="cannot be read"):
        broken("checkpoint", 5)
