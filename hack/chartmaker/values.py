"""The chart's `values.yaml` with its comments: what each value is for, in which section it stands, and what it may be.

Holds: every value has a comment of its own, or stands in an object that has; a value without one is an error here.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

_SCHEMA: Final = "@schema "


class UndocumentedError(Exception):
    """A value without a comment, or a comment that cannot be read; the message says where."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `narrowed`: its @schema, None without. `children`: of an object that is no value by itself."""

    path: tuple[str, ...]
    section: str
    about: str
    default: Any
    narrowed: dict[str, Any] | None
    children: tuple["Value", ...]

    @property
    def leaf(self) -> bool:
        """It is set as a whole."""
        return not self.children

    def leaves(self) -> Iterator["Value"]:
        """Yield what can be set, in order."""
        if self.leaf:
            yield self
        for child in self.children:
            yield from child.leaves()


def read(text: str) -> tuple[Value, ...]:
    """Return the values of a file's text, top level first. Raises `UndocumentedError`."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise UndocumentedError("values.yaml is no mapping")
    lines = text.splitlines()
    return tuple(_values(root, lines, ()))


def _values(node: yaml.MappingNode, lines: list[str], above: tuple[str, ...]) -> Iterator[Value]:
    for key, value in node.value:
        path = (*above, key.value)
        about, narrowed = _comment(lines, key.start_mark.line, path)
        # An object in flow style, or one that is narrowed as a whole, is one value.
        opened = isinstance(value, yaml.MappingNode) and value.value and not value.flow_style and narrowed is None
        children = tuple(_values(value, lines, path)) if opened else ()
        if not children and not about:
            raise UndocumentedError(f"{'.'.join(path)} has no comment")
        yield Value(path, _section(lines, key.start_mark.line), about, _plain(value), narrowed, children)


def _plain(node: yaml.Node) -> Any:  # noqa: ANN401 - any YAML value
    return yaml.safe_load(yaml.serialize(node))


def _comment(lines: list[str], line: int, path: tuple[str, ...]) -> tuple[str, dict[str, Any] | None]:
    """Return the comment right above a line, and what it says of the schema."""
    words: list[str] = []
    narrowed = None
    while line > 0 and (text := lines[line - 1].strip()).startswith("# "):
        line -= 1
        said = text.removeprefix("# ")
        if not said.startswith(_SCHEMA):
            words.insert(0, said)
            continue
        try:
            narrowed = json.loads(said.removeprefix(_SCHEMA))
        except json.JSONDecodeError as error:
            raise UndocumentedError(f"{'.'.join(path)}: @schema is no JSON: {error}") from error
    return " ".join(words), narrowed


def _section(lines: list[str], line: int) -> str:
    titles = [text for text in lines[:line] if text.startswith("## ")]
    return titles[-1].removeprefix("## ") if titles else ""
