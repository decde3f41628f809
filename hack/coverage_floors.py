"""Says what tests/unit leaves uncovered of each package that has a floor in pyproject.toml: run by `make coverage`.

Holds: every package is printed, also after one that is below its floor.
"""

import sys
import tomllib
from pathlib import Path
from typing import Final

from coverage import Coverage

_ROOT: Final = Path(__file__).parents[1]


def main() -> int:
    """Print the tables and return the exit code."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    floors: dict[str, float] = project["tool"]["bailiwick"]["coverage-floors"]
    measured = Coverage()
    measured.load()
    # All is printed first, so that what is wrong stands at the end.
    covered = {folder: measured.report(include=f"{folder}/*") for folder in floors}
    for folder, floor in floors.items():
        low = covered[folder] < floor
        print(f"{folder}: {covered[folder]:.2f} %, floor {floor} %{': TOO LOW' if low else ''}")
    return int(any(covered[folder] < floor for folder, floor in floors.items()))


if __name__ == "__main__":
    sys.exit(main())
