"""Conditions and calls that are meant to take long: what a tenant and an agent would send who want to stop everybody.

Holds: everything is drawn from the generator that is given, so that a seed says all of it.
"""

from random import Random
from typing import Any, Final

from bailiwick_engine.cel.inputs import Inputs

PATTERNS: Final = ("a*b", "(a?){20}a{20}", "[a-z]{1,50}b", ".*a.*b", "(a|aa)*b", "(a|b)*a(a|b){9}")


class Drawn:
    """Draws conditions. `depth` is how deep they may be nested; `name` is what a loop around calls its element."""

    def __init__(self, chance: Random) -> None:
        self._one_of = chance.choice

    def lists(self, depth: int) -> str:
        listed = ["context.l", "context.s", "context.items", "context.deep", "context.m", "[1, 2, 3]"]
        if depth:
            listed += [
                f"{self.lists(depth - 1)}.filter(x{depth}, {self.truth(depth - 1, f'x{depth}')})",
                f"{self.lists(depth - 1)}.map(x{depth}, {self.value(depth - 1, f'x{depth}')})",
                f"({self.lists(depth - 1)} + {self.lists(depth - 1)})",
                f"{self.text(depth - 1)}.split({self.text(0)})",
                f"[{self.value(depth - 1)}, {self.value(depth - 1)}]",
            ]
        return self._one_of(listed)

    def text(self, depth: int, name: str | None = None) -> str:
        listed = ["context.t", "context.u", "context.t", "resource.id", "'abc'"]
        if name:
            listed += [name, f"string({name})"]
        if depth:
            listed += [
                f"{self.text(depth - 1, name)}.replace({self.text(0)}, {self.text(depth - 1)})",
                f"({self.text(depth - 1, name)} + {self.text(depth - 1, name)})",
                f"{self.lists(depth - 1)}.join({self.text(0)})",
                f"{self.text(depth - 1, name)}.lowerAscii()",
                f"strings.quote({self.text(depth - 1)})",
                f"string(bytes({self.text(depth - 1)}))",
                f"'%s %s'.format([{self.text(depth - 1)}, {self.lists(depth - 1)}])",
            ]
        return self._one_of(listed)

    def value(self, depth: int, name: str | None = None) -> str:
        listed = [name or "1", "context.n", "1"]
        if depth:
            inner = name or "1"
            listed += [
                self.lists(depth - 1),
                self.text(depth - 1, name),
                f"[{inner}]",
                f"{{'a': {inner}}}",
                "context.m",
            ]
        return self._one_of(listed)

    def truth(self, depth: int, name: str | None = None) -> str:
        seen = name or "context.n"
        listed = [f"{seen} == 1", f"{seen} != context.n"]
        if depth:
            y = f"y{depth}"
            listed += [
                f"{self.lists(depth - 1)}.all({y}, {self.truth(depth - 1, y)})",
                f"{self.lists(depth - 1)}.exists_one({y}, {self.truth(depth - 1, y)})",
                f"{seen} in {self.lists(depth - 1)}",
                f"{self.lists(depth - 1)} == {self.lists(depth - 1)}",
                f"{self.text(depth - 1, name)}.contains({self.text(depth - 1)})",
                f"{self.text(depth - 1)}.lastIndexOf({self.text(depth - 1)}) == 1",
                f"{self.text(depth - 1, name)}.matches('{self._one_of(PATTERNS)}')",
                f"size({self.lists(depth - 1)}) > 3",
                f"{self.truth(depth - 1, name)} && {self.truth(depth - 1, name)}",
                f"cel.bind(b{depth}, {self.lists(depth - 1)}, b{depth} == b{depth} && size(b{depth} + b{depth}) > 0)",
                f"context.m.all({y}, context.m[{y}] != {seen})",
                f"{self.text(depth - 1, name)} < {self.text(depth - 1)}",
            ]
        return self._one_of(listed)


def call(chance: Random) -> Inputs:
    """Draw what conditions see: lists and texts from nothing to as much as a body can hold."""
    many, long, each = (int(10 ** chance.uniform(0, most)) for most in (4, 5.5, 1.5))
    context: dict[str, Any] = {
        "l": list(range(many)),
        "s": ["a" * each] * many,
        "items": [{"kind": "internal", "v": "a" * each} for _ in range(many)],
        "deep": [["a"] * each for _ in range(many)],
        "m": {f"k{number}": "a" * each for number in range(many)},
        "n": 5,
        "t": "a" * long,
        "u": "a" * (long // 2) + "b",
    }
    party = {"id": "a", "type": "t", "properties": {}, "claims": {}}
    resource = {"type": "t", "id": "a" * min(long, 200), "properties": {}}
    action = {"name": "a", "properties": {}}
    return Inputs.from_values(
        {"subject": party, "actor": {}, "action": action, "resource": resource, "context": context}, 1_900_000_000.0
    )
