"""`docs/tutorial-mcp.md`, typed from its first line to its last in one shell; only the ports are others."""

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from localcluster.ports import free_ports
from support.pages import DOCS

pytestmark = pytest.mark.long

PAGE: Final = DOCS / "tutorial-mcp.md"
PORTS: Final = ("8443", "8000", "8001", "8002")
BLOCK: Final = re.compile(r"(?:Save this as `([^`]+)`[^\n]*\n\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A reader types more slowly than a program starts.
WAIT: Final = (
    "until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2> /dev/null; do kill -0 $!; [ $SECONDS -lt 240 ]; sleep 0.1; done\n"
)
MARK: Final = "@@@@"


@pytest.fixture(scope="module")
def page() -> str:
    """The page, with ports that are free here, and none but those."""
    text = PAGE.read_text(encoding="utf-8")
    for named, free in zip(PORTS, free_ports(len(PORTS)), strict=True):
        assert named in text
        text = text.replace(named, str(free))
    return text.replace("--development --port", "--development --status-port 0 --port")


def typed(text: str) -> Iterator[str]:
    """Yield what a reader types: files, commands, and after each command whose output is shown a mark."""
    written: dict[str, str] = {}
    for file, language, body in BLOCK.findall(text):
        if file:
            written[file] = body
            yield f"mkdir -p $(dirname {file})\ncat > {file} <<'@@END'\n{body}@@END\n"
        elif language == "console":
            for line in body.splitlines():
                if line.startswith("$ "):
                    yield f"{line[2:]}\necho {MARK}\n"
        else:
            assert language == "sh", language
            yield body
            yield "".join(WAIT.format(port=port) for port in re.findall(r"--port (\d+)", body))
            for program in re.findall(r"^python (\w+\.py) .*&$", body, re.MULTILINE):
                (port,) = re.findall(r"\bport=(\d+)", written[program])
                yield WAIT.format(port=port)


def shown(text: str) -> list[str]:
    """Return the outputs that the page shows."""
    consoles = "".join(body for file, language, body in BLOCK.findall(text) if language == "console" and not file)
    return [part.partition("\n")[2].strip() for part in re.split(r"^\$ ", consoles, flags=re.MULTILINE)[1:]]


def test_the_tutorial_does_what_it_says(page: str, tmp_path: Path) -> None:
    script = "".join(typed(page))
    environment = {
        **os.environ,
        "BAILIWICK": str(DOCS.parent),
        # Its dependencies are here already: `pip install` builds and installs the project alone, without a network.
        "PIP_NO_INDEX": "1",
        "PIP_NO_DEPS": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
        "PYTHONPATH": sysconfig.get_path("purelib"),
    }
    wrapped = f"set -eum\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{script}"
    command = ["bash", "-c", wrapped]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    logs = "\n".join(log.read_text(encoding="utf-8")[-2000:] for log in tmp_path.rglob("*.log"))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    outputs = [part.strip() for part in done.stdout.split(MARK)[:-1]]
    # What pip and others said comes before the first command whose output is shown.
    assert outputs[0].endswith(shown(page)[0])
    assert outputs[1:] == shown(page)[1:]
