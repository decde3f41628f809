"""What a test leaves open is found in the test that left it, and nowhere else."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]

HEAD: Final = """\
import asyncio, socket, subprocess, sys, threading
import aiohttp, pytest

KEPT = []

async def connected():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    return server, reader, writer

async def closed():
    server, reader, writer = await connected()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    server.close()

async def left():
    KEPT.append(await connected())
"""

LEFT: Final = {
    "a connection": "def test_it(): asyncio.run(left())",
    "a connection of a thread": """\
def test_it():
    thread = threading.Thread(target=lambda: asyncio.run(left()))
    thread.start()
    thread.join()
""",
    "an HTTP session": """\
async def session():
    KEPT.append(aiohttp.ClientSession())

def test_it(): asyncio.run(session())
""",
    "a socket": "def test_it(): KEPT.append(socket.socket())",
    "a socket of a fixture": """\
@pytest.fixture
def one():
    KEPT.append(socket.socket())

def test_it(one): pass
""",
    "a process": "def test_it(): KEPT.append(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']))",
}
CLOSED: Final = {
    "a connection": "def test_it(): asyncio.run(closed())",
    "an HTTP session": """\
async def session():
    async with aiohttp.ClientSession(): pass

def test_it(): asyncio.run(session())
""",
    "a socket": "def test_it():\n    with socket.socket(): pass",
    "a socket of a fixture": """\
@pytest.fixture
def one():
    with socket.socket() as made: yield made

def test_it(one): pass
""",
    "a process": "def test_it(): KEPT.append(subprocess.run([sys.executable, '-c', '']))",
    "a socket of the module": """\
@pytest.fixture(scope="module")
def made():
    with socket.socket() as made: yield made

def test_it(made): assert made.fileno() != -1
""",
    "a connection of a loop that runs on": """\
@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    for server, _, writer in KEPT:
        writer.close()
        loop.run_until_complete(writer.wait_closed())
        server.close()
    loop.close()

def test_it(loop): loop.run_until_complete(left())
""",
}


SETTINGS: Final = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
NEXT: Final = "\n\ndef test_next():\n    import gc\n    gc.collect()\n"


def outcomes(folder: Path, cases: dict[str, str]) -> dict[str, list[str]]:
    """Play each case, and after it a test that would be blamed; return the errors of each in the order of the tests."""
    (folder / "pytest.ini").write_text(SETTINGS)
    for number, case in enumerate(cases.values()):
        (folder / f"test_{number}.py").write_text(HEAD + case + NEXT)
    command = ["-m", "pytest", "-p", "support.leaks", "-p", "no:randomly", "--junitxml=found.xml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    subprocess.run([sys.executable, "-P", *command], cwd=folder, env=environment, check=False, capture_output=True)
    found: dict[str, list[str]] = {name: [] for name in cases}
    for test in ET.parse(folder / "found.xml").iter("testcase"):  # noqa: S314 - written by pytest
        (number,) = (int(part.removeprefix("test_")) for part in test.attrib["classname"].split("."))
        wrong = [*test.iter("error"), *test.iter("failure")]
        found[list(cases)[number]].append(f"{wrong[0].attrib['message']}{wrong[0].text}" if wrong else "")
    return found


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return outcomes(tmp_path_factory.mktemp("leaks"), LEFT | {f"{name}, closed": case for name, case in CLOSED.items()})


@pytest.mark.parametrize("what", LEFT)
def test_what_is_left_open_fails_the_test_that_left_it_and_no_other(what: str, played: dict[str, list[str]]) -> None:
    # A test that passes and then fails at its teardown stands there twice.
    said = [text for text in played[what] if text]
    assert len(said) == 1
    assert "the test left open, for another to be blamed" in said[0]
    assert played[what][-1] == ""


@pytest.mark.long
@pytest.mark.parametrize("what", CLOSED)
def test_what_is_closed_or_has_an_owner_is_no_leak(what: str, played: dict[str, list[str]]) -> None:
    assert played[f"{what}, closed"] == ["", ""]
