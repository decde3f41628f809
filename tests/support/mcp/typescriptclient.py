"""The official TypeScript SDK of MCP as a client: one call by a program of its own.

Standing: beside `modernclients`, over `npmpackages`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from support import npmpackages

_SOURCES: Final = Path(__file__).parent / "typescript"


def ensure() -> Path:
    """Return the program, and install its packages if need be; skip the test where npm or Node is missing."""
    return npmpackages.ensure("mcp-typescript", _SOURCES) / "client.mjs"


def call(program: Path, *urls: str, token: str, tool: str, link: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - as the program has them
    """Make a call by any of several servers. `link`: what the client's user does with one; None: it declares none."""
    said = json.dumps({"urls": urls, "token": token, "tool": tool, "link": link, **more})
    done = subprocess.run(["node", str(program), said], capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
