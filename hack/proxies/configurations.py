"""The configurations that ship for proxies, with addresses and places of files put in, and nothing else changed.

Standing: below whoever starts a proxy, in the demo or in a test.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples" / "enforcement"


def configured(path: str, replaced: Mapping[str, str]) -> str:
    """Return a file of the examples with these texts replaced. Raises `ValueError` for a text that is not in it."""
    text = (EXAMPLES / path).read_text(encoding="utf-8")
    for old, new in replaced.items():
        if old not in text:
            raise ValueError(f"{path} has no {old!r}")
        text = text.replace(old, new)
    return text
