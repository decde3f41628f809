"""What a reader of a tutorial types: its files, its commands, and after each command whose output is shown a mark."""

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from localcluster.ports import free_ports
from support.pages import DOCS

MARK: Final = "@@@@"
# Its dependencies are here already: pip builds and installs the project alone.
WITHOUT_NETWORK: Final = {
    "PIP_NO_INDEX": "1",
    "PIP_NO_DEPS": "1",
    "PIP_NO_BUILD_ISOLATION": "0",
    "PYTHONPATH": sysconfig.get_path("purelib"),
}
_BLOCK: Final = re.compile(
    r"(?:Save this as `([^`]+)`[^\n]*\n\n)?^(<!-- not run: [^\n]*-->\n)?```(\w+)\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# A reader types more slowly than a program starts.
_WAIT: Final = (
    "until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2> /dev/null; do kill -0 $!; [ $SECONDS -lt 240 ]; sleep 0.1; done\n"
)


def with_free_ports(text: str, *ports: str) -> str:
    """Return a tutorial with ports that are free here in place of its own, of which it names each."""
    for named, free in zip(ports, free_ports(len(ports)), strict=True):
        assert named in text
        text = text.replace(named, str(free))
    return text


def section(text: str, first: str, last: str | None = None) -> str:
    """Return a tutorial from the heading that begins so, up to another one."""
    start = text.index(f"\n## {first}")
    return text[start : None if last is None else text.index(f"\n## {last}")]


def typed(text: str) -> Iterator[str]:
    """Yield what is typed, in order. A program that is started with a port is waited for."""
    written: dict[str, str] = {}
    for file, left_out, language, body in _BLOCK.findall(text):
        if left_out:
            continue
        if file:
            written[file] = body
            yield f"mkdir -p $(dirname {file})\ncat > {file} <<'@@END'\n{body}@@END\n"
        elif language == "console":
            yield from (f"{line[2:]}\necho {MARK}\n" for line in body.splitlines() if line.startswith("$ "))
        else:
            assert language == "sh", language
            yield body
            yield "".join(_WAIT.format(port=port) for port in re.findall(r"--port (\d+)", body))
            for program in re.findall(r"^python (\w+\.py) .*&$", body, re.MULTILINE):
                (port,) = re.findall(r"\bport=(\d+)", written[program])
                yield _WAIT.format(port=port)


def shown(text: str) -> list[str]:
    """Return the outputs that are shown, one for each command of a console."""
    consoles = "".join(body for _, _, language, body in _BLOCK.findall(text) if language == "console")
    return [part.partition("\n")[2].strip() for part in re.split(r"^\$ ", consoles, flags=re.MULTILINE)[1:]]


def outputs(text: str, folder: Path) -> list[str]:
    """Type a tutorial in one shell, and return what its consoles said; before the first stands what pip said."""
    environment = {**os.environ, **WITHOUT_NETWORK, "BAILIWICK": str(DOCS.parent)}
    script = f"set -eumo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{''.join(typed(text))}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        # As on a terminal: what a command complains of is a part of what it shows.
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=280,
    )
    logs = "\n".join(log.read_text(encoding="utf-8")[-2000:] for log in folder.rglob("*.log"))
    assert done.returncode == 0, f"{done.stdout}\n{logs}"
    return [part.strip() for part in done.stdout.split(MARK)[:-1]]
