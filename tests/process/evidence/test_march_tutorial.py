"""`docs/tutorials/prove-what-happened.md`, typed from its first line to its last, and the logs that it is about."""

import os
import subprocess
from pathlib import Path
from typing import Final

from support.evidence import march
from support.offlineshell import OfflineShell
from support.pages import DOCS, needs
from support.tutorials import MARK, shown, typed

PAGE: Final = (DOCS / "tutorials" / "prove-what-happened.md").read_text(encoding="utf-8")


def test_the_logs_are_what_a_decision_point_and_a_witness_would_have_written() -> None:
    stored = {path.name: path.read_bytes() for path in march.FOLDER.iterdir() if path.name != "README.md"}
    # After a change of the engine's version or of records: python -m support.evidence.march, and look at the tutorial.
    assert stored == march.files()


@needs("jq")
def test_the_tutorial_shows_what_is_printed(tmp_path: Path) -> None:
    OfflineShell(tmp_path)
    script = f"set -eu\n{''.join(typed(PAGE))}"
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "BAILIWICK": str(DOCS.parent), "KUBECONFIG": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    # What ends with 1, since there is something to look at, stands before a pipe.
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert [part.strip() for part in done.stdout.split(MARK)[:-1]] == shown(PAGE)
