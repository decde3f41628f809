"""The examples of agents in frameworks, and customers that tell which of them a tool read."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
CUSTOMERS: Final = {"42": {"name": "Harbour Mills", "revenue": 910_000}}
REASON: Final = "the quarterly report needs it"


class SeenCustomers(dict[str, Any]):
    """Customers, and the ids of those that a tool read."""

    def __init__(self) -> None:
        super().__init__(CUSTOMERS)
        self.read: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as a dict has it
        self.read.append(key)
        return super().get(key, default)


def example(name: str) -> tuple[Any, SeenCustomers]:
    """Load an example anew. Returns the module, and the customers that its tools read."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / "agents" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    seen = SeenCustomers()
    vars(module)["CUSTOMERS"] = seen
    return module, seen


def wanted(name: str, args: Mapping[str, Any], call_id: str) -> dict[str, Any]:
    """Return a call of a tool, as a model of LangChain says it."""
    return {"name": name, "args": dict(args), "id": call_id, "type": "tool_call"}
