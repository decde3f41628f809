"""A store of objects in memory, whose failures a test chooses: before it takes an object, or before it says so."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from bailiwick_governance.errors import UserError


@dataclass
class MemoryStore:
    """`objects` by name. `conditional`: it does not replace one. Each of `failures` is used up by one `create`."""

    objects: dict[str, bytes] = field(default_factory=dict)
    conditional: bool = True
    failures: list[str] = field(default_factory=list)

    def create(self, name: str, content: bytes) -> bool:
        failure = self.failures.pop() if self.failures else ""
        if failure == "before":
            raise UserError(f"{self.url_of(name)} cannot be written: down")
        there = name in self.objects
        if not (there and self.conditional):
            self.objects[name] = content
        if failure == "after":
            raise UserError(f"{self.url_of(name)} cannot be written: no answer")
        return not (there and self.conditional)

    def read(self, name: str) -> Iterator[bytes]:
        content = self.objects[name]
        yield from (content[at : at + 7] for at in range(0, len(content), 7))

    def url_of(self, name: str) -> str:
        return f"s3://memory/{name}"
