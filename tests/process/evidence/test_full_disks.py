"""An audit whose temporary file has no room: what was written is still read, and the rest stays in memory."""

import subprocess
import sys
from typing import Final

_LIMITED: Final = """
import resource
from bailiwick_governance.records.leaffile import LeafFile
page = b"x" * 8192
resource.setrlimit(resource.RLIMIT_FSIZE, (12_000, 12_000))
kept = LeafFile()
print(kept.write(0, page), kept.write(1, page), kept.write(5, page), kept.read(0) == page)
"""


def test_a_full_disk_keeps_what_was_written() -> None:
    # A limit of the kernel on the size of a file: the second page fits in part, the third not at all.
    command = [sys.executable, "-c", _LIMITED]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.split() == ["True", "False", "False", "True"]
    assert found.stderr.count("warning: no temporary file") == 1
