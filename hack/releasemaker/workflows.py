"""The check of the workflows of GitHub Actions, by actionlint and zizmor.

Standing: starts both, of which neither asks the network: `zizmor --offline` judges by the text alone.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

FOLDER: Final = Path(".github", "workflows")


def problems(checkout: Path, actionlint: Path) -> Iterator[str]:
    """Yield what each of the two complains of, as it says it."""
    files = sorted(checkout.joinpath(FOLDER).glob("*.yaml"))
    zizmor = shutil.which("zizmor", path=str(Path(sys.executable).parent)) or "zizmor"
    commands: tuple[list[str | Path], ...] = (
        # Without shellcheck and pyflakes, which a machine may have or not.
        [actionlint, "-no-color", "-shellcheck=", "-pyflakes=", *files],
        [zizmor, "--offline", "--no-progress", "--quiet", "--persona=pedantic", *files],
    )
    for command in commands:
        done = subprocess.run(  # noqa: S603 - programs that are pinned
            command, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            yield f"{Path(command[0]).name}: {(done.stdout + done.stderr).strip()}"
