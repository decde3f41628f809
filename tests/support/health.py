"""Health scripts as Argo CD runs them: Lua 5.1 with the base and table libraries, and one object as `obj`.

Holds: a script that needs more than Argo CD gives it by default (`string`, `os`) fails here as it fails there.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from lupa.lua51 import LuaRuntime

from bailiwick_api.kinds.meta import GROUP

CUSTOMIZATIONS: Final = Path(__file__).parents[2] / "charts" / "bailiwick" / "argocd" / "resource_customizations"
_TAKEN: Final = """
for _, name in ipairs({'string', 'os', 'io', 'math', 'debug', 'package', 'require'}) do _G[name] = nil end
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One entry of a health_test.yaml, Argo CD's own format: an object as it was live, and its health."""

    kind: str
    path: Path
    status: str
    message: str

    @property
    def object(self) -> dict[str, Any]:
        """The object."""
        found: dict[str, Any] = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        return found

    def __str__(self) -> str:
        return f"{self.kind}/{self.path.stem}"


def kinds() -> list[str]:
    """Return the kinds that have a script."""
    return sorted(folder.name for folder in (CUSTOMIZATIONS / GROUP).iterdir())


def script(kind: str) -> str:
    """Return the script of a kind."""
    return (CUSTOMIZATIONS / GROUP / kind / "health.lua").read_text(encoding="utf-8")


def cases() -> list[Case]:
    """Return the cases of all kinds."""
    return [
        Case(kind, folder / test["inputPath"], test["healthStatus"]["status"], test["healthStatus"].get("message", ""))
        for kind in kinds()
        for folder in [CUSTOMIZATIONS / GROUP / kind]
        for test in yaml.safe_load((folder / "health_test.yaml").read_text(encoding="utf-8"))["tests"]
    ]


def health(kind: str, live: dict[str, Any]) -> tuple[str, str]:
    """Return status and message of an object."""
    lua = LuaRuntime(register_eval=False, register_builtins=False)
    # Strings have methods by a metatable, which Argo CD's Lua does not set either.
    lua.execute("debug.setmetatable('', nil)")
    lua.execute(_TAKEN)
    lua.globals()["obj"] = _table(lua, live)
    found = lua.execute(script(kind))
    return found["status"], found["message"]


def _table(lua: LuaRuntime, value: object) -> object:
    if isinstance(value, dict):
        return lua.table_from({key: _table(lua, item) for key, item in value.items()})
    if isinstance(value, list):
        return lua.table_from([_table(lua, item) for item in value])
    return value
