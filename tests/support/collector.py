"""An OpenTelemetry Collector, built from pinned Go modules: the core, the receiver `filelog` and the exporter `file`.

Standing: it runs the configuration that a page prints, with the places of files replaced by some of the test.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from localcluster import build
from localcluster.process import RunningProcess, spawn, stop
from support.pages import blocks

PAGE: Final = "how-to/ship-logs.md"
_LOGS: Final = "/var/log/bailiwick/*.log"
_STORED: Final = "/var/lib/otelcol/bailiwick.json"
# So that two that run at once do not listen at the same port.
_QUIET: Final = "service: {telemetry: {metrics: {level: none}}}\n"


def configuration() -> str:
    """Return what the page prints."""
    (found,) = (block for block in blocks(PAGE, "yaml") if block.startswith("receivers:\n"))
    assert found.count(_LOGS) == found.count(_STORED) == 1
    return found


@contextmanager
def collector(folder: Path, printed: str, sources: str | None = None) -> Iterator[tuple[RunningProcess, Path]]:
    """Run one that reads these files, by default the `.log` files of the folder; yields it and the file that it writes.

    `sources` is a pattern of paths.
    """
    program = build.ensure(build.otelcol()) / "otelcol"
    stored = folder / "bailiwick.json"
    first, second = folder / "printed.yaml", folder / "quiet.yaml"
    first.write_text(
        printed.replace(_LOGS, sources or f"{folder}/*.log").replace(_STORED, str(stored)), encoding="utf-8"
    )
    second.write_text(_QUIET, encoding="utf-8")
    # Its own output is no `.log`, which it would read.
    running = spawn("otelcol", [program, "--config", first, "--config", second], folder / "otelcol.out")
    try:
        yield running, stored
    finally:
        stop([running.id])
        running.handle.wait()
