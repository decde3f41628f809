"""Writing files that others read while we write.

Standing: the one place that creates secret files. A reader sees the old content or the new, never half
of one; and nobody but the owner can read a file at any moment of its life.
"""

import os
import tempfile
from pathlib import Path


def write_secret(path: Path, content: str | bytes) -> None:
    """Put `content` at `path`, mode 0600, by an atomic rename."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
