"""What a page tells somebody to type, typed in a folder: by bash, with our programs on its PATH and without a cluster.

Standing: beside `shell`, which has a cluster. Holds: a page that reaches for a cluster finds no kubeconfig.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

from support.commandline import Ran

# What it gets of a cluster, it gets from a file: kubectl's own list of objects.
_KUBECTL: Final = (
    '#!/bin/bash\nif [ "$1" = get ]; then exec cat cluster.yaml; fi\nshift\nexec {python} -P -m bailiwick_cli "$@"\n'
)
_BAILIWICK: Final = "#!{python} -P\nfrom bailiwick_cli.main import standalone\nraise SystemExit(standalone())\n"


class OfflineShell:
    """Types at `folder`. `kubectl`: another one than that which knows our plugin and nothing else."""

    def __init__(self, folder: Path, kubectl: str = _KUBECTL) -> None:
        self.folder: Final = folder
        self._programs: Final = folder / "bin"
        self._programs.mkdir()
        for name, text in (("kubectl", kubectl), ("bailiwick", _BAILIWICK)):
            program = self._programs / name
            program.write_text(text.replace("{python}", sys.executable), encoding="utf-8")
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    def type(self, text: str, *, to_the_end: bool = False) -> Ran:
        """Type a block. `to_the_end`: go on behind a line that fails, as whoever types one line at a time does."""
        who = {f"GIT_{role}_{part}": "page" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        path = f"{self._programs}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-uo" if to_the_end else "-euo", "pipefail", "-c", text],
            cwd=self.folder,
            env={**os.environ, **who, "PATH": path, "KUBECONFIG": "/nowhere"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def succeed(self, text: str) -> str:
        """Type a block that must succeed and complain of nothing; returns what it prints."""
        ran = self.type(text)
        assert (ran.code, ran.err) == (0, ""), (text, ran)
        return ran.out

    def commit(self) -> None:
        """Make a Git repository of what is in the folder, on its branch `main`."""
        self.succeed(
            "git init --quiet --initial-branch main\n"
            "echo bin/ > .git/info/exclude\n"
            "git add .\n"
            "git -c commit.gpgsign=false commit --quiet --message first"
        )
