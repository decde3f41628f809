"""The command line: `python -m pictures [--check]` writes the drawings into docs/images, or fails if they differ."""

import sys
from typing import Final

import page
from pictures.drawings import DRAWINGS

IMAGES: Final = page.ROOT / "docs" / "images"


def main(arguments: list[str] | None = None) -> int:
    """Write or check. Returns 0, or 1 when --check found a difference."""
    return max(
        page.main(IMAGES / name, draw().svg, "hack/pictures/drawings.py", __doc__, arguments)
        for name, draw in DRAWINGS.items()
    )


if __name__ == "__main__":
    sys.exit(main())
