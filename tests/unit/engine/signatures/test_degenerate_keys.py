"""Keys with which everybody can sign: no registrar enrols one by mistake, and none stands for another person's."""

import math
from collections.abc import Iterator
from typing import Final

import pytest

from bailiwick_engine.signatures.publickey import ED25519, RSA, SK_ED25519, PublicKeyError, encode_key, parse_public_key
from bailiwick_engine.signatures.wire import encode_mpint, encode_string

P: Final = 2**255 - 19
D: Final = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]


def added(one: Point, two: Point) -> Point:
    """Add two points of edwards25519 (RFC 8032 section 5.1.4)."""
    (x1, y1), (x2, y2) = one, two
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def recovered(y: int) -> Point | None:
    """Return a point with this y; None where there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if x * x % P == square else None


def times(number: int, point: Point) -> Point:
    total = (0, 1)
    while number:
        total = added(total, point) if number & 1 else total
        point, number = added(point, point), number >> 1
    return total


def small_order() -> set[Point]:
    """Return the eight points whose order divides 8: multiples of what the group's order leaves of a random point."""
    group = 2**252 + 27742317777372353535851937790883648493
    for y in range(2, 100):
        point = recovered(y)
        if point is not None:
            torsion = {times(number, times(group, point)) for number in range(8)}
            if len(torsion) == 8:
                return torsion
    raise AssertionError("there is such a point among any few")


def encodings(point: Point) -> Iterator[bytes]:
    """Yield all that decode to a point or its negative, also those that are not canonical."""
    for y in (point[1], point[1] + P):
        for sign in (0, 1 << 255):
            if y < 2**255:
                yield (y | sign).to_bytes(32, "little")


@pytest.mark.invariant(30)
@pytest.mark.parametrize(("kind", "application"), [(ED25519, None), (SK_ED25519, "ssh:")])
def test_an_ed25519_key_of_small_order_is_refused_in_each_of_its_encodings(kind: str, application: str | None) -> None:
    points = small_order()
    found = {encoded for point in points for encoded in encodings(point)}
    assert len(points) == 8
    for encoded in found:
        with pytest.raises(PublicKeyError, match="everybody can sign"):
            parse_public_key(encode_key(kind, encoded, application))


@pytest.mark.invariant(30)
def test_an_ed25519_key_has_one_encoding() -> None:
    for y in range(19):
        if recovered(y) is not None:
            with pytest.raises(PublicKeyError, match=r"everybody can sign|not canonical"):
                parse_public_key(encode_key(ED25519, (y + P).to_bytes(32, "little")))


PRIME: Final = 2**2203 - 1


@pytest.mark.invariant(30)
@pytest.mark.parametrize(
    "modulus",
    [2**2100, 3 * PRIME, 251 * PRIME, 4093 * PRIME, PRIME * PRIME],
    ids=["even", "3", "251", "4093", "a square"],
)
def test_an_rsa_key_that_can_be_factored_at_once_is_refused(modulus: int) -> None:
    assert math.gcd(modulus, 65537) == 1
    blob = encode_string(RSA) + encode_mpint(65537) + encode_mpint(modulus)
    with pytest.raises(PublicKeyError, match="everybody can sign"):
        parse_public_key(blob)
