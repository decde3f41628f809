"""Data in records: the digest of each object that an endpoint's policies name, and what candidate rules read of them.

Stands under `evidence`, which asks. Holds: made once for each state of an endpoint and its data, and each thing that is
told is made once too: to seal a large value takes a millisecond. Objects stand by their names, whatever policies call
them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from bailiwick_engine.cel.members import DATA, Path
from bailiwick_engine.policy.snapshot import CompiledEndpoint

_KEPT: Final = 1_024
_NO_PATHS: Final = frozenset[Path]()


class DataRead:
    """What the records of one endpoint tell of data."""

    def __init__(self, endpoint: CompiledEndpoint) -> None:
        found = {name: endpoint.data.get(name) for name in sorted(endpoint.reads)}
        self.digests: Final = {name: None if held is None else held.digest for name, held in found.items()}
        """By object; None of one that is unknown."""
        self._values = {name: held.value for name, held in found.items() if held is not None and held.value is not None}
        self._kept: dict[frozenset[Path], dict[str, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self.digests)

    def attributes(
        self, paths: Iterable[frozenset[Path]], told: Callable[[Path, Any], tuple[str, Any]]
    ) -> Mapping[str, Any]:
        """Return what is read of these paths, by name. What is absent is told by what it is not in.

        `told` makes of a path and a value a name, and what is written of it.
        """
        wanted = _NO_PATHS.union(*paths)
        found = self._kept.get(wanted)
        if found is None:
            ours = (self._present(path[1:]) for path in sorted(wanted) if path[0] == DATA and path[1] in self._values)
            found = dict(told((DATA, *path), held) for path, held in ours)
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[wanted] = found
        return found

    def _present(self, path: Path) -> tuple[Path, Any]:
        """Return what is there of a path, as far as it goes; in place of one that lacks the rest, an empty object."""
        held: Any = self._values
        for depth, part in enumerate(path):
            if not isinstance(held, Mapping):
                return path[:depth], held
            if part not in held:
                return path[:depth], {}
            held = held[part]
        return path, held
