"""Polynomials: how work and sizes grow with the contents of a call, as `estimate` adds them up.

Holds: pure. Every coefficient is an integer of at least 0, so a polynomial only grows with each of its symbols, and the
sum of its values at several sizes is never above its value at the sum of them, but for the constant (`fold_constant`).
"""

from collections.abc import Mapping
from typing import Final

Symbol = int
Monomial = tuple[Symbol, ...]
"""Symbols in order, each as often as its power says; empty for the constant."""
Polynomial = dict[Monomial, int]

_MOST_TERMS: Final = 256
_HIGHEST_DEGREE: Final = 8
_CEILING: Final = 10**24
"""Larger values exceed every budget: they need no distinction, and must not grow into numbers of a million digits."""


class BoundlessError(Exception):
    """The polynomial has grown beyond what is worth following: whatever it stands for is out of any budget."""


def constant(value: int) -> Polynomial:
    """Return a polynomial that does not grow."""
    return {(): value} if value else {}


def symbol(number: Symbol) -> Polynomial:
    """Return one symbol."""
    return {(number,): 1}


def add_to(into: Polynomial, other: Mapping[Monomial, int], times: int = 1) -> None:
    """Add a polynomial to one, in place. Raises `BoundlessError`."""
    for monomial, coefficient in other.items():
        into[monomial] = min(into.get(monomial, 0) + coefficient * times, _CEILING)
    if len(into) > _MOST_TERMS:
        raise BoundlessError


def total(*parts: Mapping[Monomial, int]) -> Polynomial:
    """Return the sum. Raises `BoundlessError`."""
    found: Polynomial = {}
    for part in parts:
        add_to(found, part)
    return found


def product(one: Mapping[Monomial, int], other: Mapping[Monomial, int]) -> Polynomial:
    """Return the product. Raises `BoundlessError`."""
    found: Polynomial = {}
    for left, coefficient in one.items():
        for right, factor in other.items():
            monomial = tuple(sorted(left + right))
            if len(monomial) > _HIGHEST_DEGREE:
                raise BoundlessError
            found[monomial] = min(found.get(monomial, 0) + coefficient * factor, _CEILING)
    if len(found) > _MOST_TERMS:
        raise BoundlessError
    return found


def fold_constant(
    body: Mapping[Monomial, int], rounds: Mapping[Monomial, int], parts: Mapping[Symbol, Polynomial]
) -> Polynomial:
    """Return what `body` comes to over all rounds of a loop. Raises `BoundlessError`.

    `parts` says of each symbol of one round, such as the size of one element, what all rounds of it come to together.
    A monomial that holds such a symbol is at most what it is of all elements at once (the sum of products is never
    above the product of sums); one that holds none is paid in each round.
    """
    found: Polynomial = {}
    for monomial, coefficient in body.items():
        outside = tuple(one for one in monomial if one not in parts)
        term: Polynomial = {outside: coefficient}
        if len(outside) == len(monomial):
            term = product(term, rounds)
        for one in monomial:
            if one in parts:
                term = product(term, parts[one])
        add_to(found, term)
    return found


def value(polynomial: Mapping[Monomial, int], sizes: Mapping[Symbol, int]) -> int:
    """Return the value for these sizes."""
    whole = 0
    for monomial, coefficient in polynomial.items():
        term = coefficient
        for one in monomial:
            term *= sizes[one]
        whole += term
    return whole
