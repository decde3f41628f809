"""Which CAs and which serving certificate there should be, by those that there are and the time. Pure.

`bailiwick_operator.certificates.keeper` looks and does it; `bailiwick_operator.certificates.issuer` makes what is
asked for here.

Holds: a CA issues only after it has been seen in everything that is published for `settle`, and an older one
stays published for `settle` after the certificate that it issued was replaced, so that nobody who read what was
published in the meantime ever meets a certificate that they do not trust. Only where nothing could be served is
issued at once: at the start, and after a loss. A CA whose successor issues has its key destroyed. Nothing
that a clock stamped which ran ahead is believed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

BACKDATE: Final = timedelta(minutes=5)
"""How long before it is issued a certificate begins, for clients whose clocks are behind."""
SKEW: Final = timedelta(seconds=60)
# Nobody waits for the last moment: in the last tenth of its life a certificate is replaced whoever can issue.
_LAST: Final = 10


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a CA and a certificate live, how long what is published settles, and for which names."""

    names: frozenset[str]
    authority_life: timedelta = timedelta(days=5 * 365)
    leaf_life: timedelta = timedelta(days=90)
    settle: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA. `id` is the SHA-256 of its certificate, which is PEM as its key is.

    `key` None: it issues no more. `published`: since when it has been seen in everything that is published.
    `until`: when it is taken out of that, None while what it issued may be in use.
    """

    id: str
    certificate: str
    key: str | None = field(repr=False)
    not_before: datetime
    not_after: datetime
    published: datetime | None = None
    until: datetime | None = None

    @property
    def created(self) -> datetime:
        """When it was made."""
        return self.not_before + BACKDATE

    @property
    def age(self) -> tuple[datetime, str]:
        """What CAs are ordered by."""
        return (self.not_before, self.id)

    def lives(self, now: datetime) -> bool:
        """Tell whether it can vouch for anything at this moment."""
        return self.not_before <= now + SKEW and now < self.not_after and (self.until is None or now < self.until)


@dataclass(frozen=True, slots=True)
class Leaf:
    """The serving certificate with its key, both PEM. `issuer` is the id of the CA that signed it."""

    certificate: str
    key: str = field(repr=False)
    issuer: str
    names: frozenset[str]
    not_before: datetime
    not_after: datetime

    @property
    def created(self) -> datetime:
        """When it was issued."""
        return self.not_before + BACKDATE


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """What somebody asked for by hand: whatever was made before this moment is replaced. None: nothing was asked."""

    authority: datetime | None = None
    leaf: datetime | None = None


@dataclass(frozen=True, slots=True)
class ObservedCertificates:
    """What there is. `leaf` None: none that fits its key and was signed by one of `authorities`.

    `bundled`: the ids of those that are in everything that is published.
    """

    authorities: tuple[Authority, ...] = ()
    leaf: Leaf | None = None
    bundled: frozenset[str] = frozenset()
    asked: RotationRequest = RotationRequest()


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """What there should be: the CAs, oldest first, all of which are published, and the certificate."""

    authorities: tuple[Authority, ...]
    leaf: Leaf

    @property
    def bundle(self) -> str:
        """What is published, as PEM."""
        return "".join(authority.certificate for authority in self.authorities)


class Maker(Protocol):
    """Makes keys and certificates."""

    def authority(self, now: datetime) -> Authority:
        """Return a new CA, which nobody has seen yet."""

    def leaf(self, issuer: Authority, now: datetime) -> Leaf:
        """Return a new certificate of a CA that has a key; it ends before its issuer does."""


def reconcile(found: ObservedCertificates, now: datetime, terms: Terms, make: Maker) -> CertificatePlan:
    """Return what there should be, with a stamp where something was seen for the first time."""
    held = sorted((_seen(each, found, now, terms) for each in found.authorities if each.lives(now)), key=_age)
    leaf = found.leaf if found.leaf is not None and _usable(found.leaf, held, now) else None
    able = [each for each in held if each.key is not None and each.until is None]
    if not able or (leaf is not None and _succeeded(able[-1], leaf, found.asked, now, terms)):
        new = make.authority(now)
        held.append(new)
        able.append(new)
    # The one that issued what is served is known to whoever is served.
    known = [each for each in able if _settled(each, now, terms) or (leaf is not None and each.id == leaf.issuer)]
    if leaf is None:
        # Of those that nobody may know yet, the oldest is known to most.
        leaf = make.leaf(known[-1] if known else able[0], now)
    elif known and _replaced(leaf, known[-1], found.asked, now, terms):
        leaf = make.leaf(known[-1], now)
    else:
        # What is served was issued by the last of those that are known, if any is: so those before it have nothing left
        # to issue, and those without a key never had.
        # Certificates know whole seconds alone: of two that were made in one, neither came before the other.
        last = (known[-1] if known else held[0]).not_before
        held = [
            _ended(each, now, terms)
            if each.id != leaf.issuer and (each.key is None or each.not_before < last)
            else each
            for each in held
        ]
    return CertificatePlan(tuple(sorted(held, key=_age)), leaf)


def due(created: datetime, not_after: datetime, life: timedelta) -> datetime:
    """Return when something is to have a successor: after two thirds of its life, or of that which it should have."""
    return created + min(not_after - created, life) * 2 / 3


def _age(authority: Authority) -> tuple[datetime, str]:
    return authority.age


def _seen(authority: Authority, found: ObservedCertificates, now: datetime, terms: Terms) -> Authority:
    """Return a CA with the time since when it has been published, and without times that cannot be."""
    published, until = authority.published, authority.until
    if authority.id not in found.bundled:
        published = None
    elif published is None or published > now + SKEW:
        published = now.replace(microsecond=0)
    if until is not None:
        until = min(until, now.replace(microsecond=0) + terms.settle + SKEW)
    return replace(authority, published=published, until=until)


def _usable(leaf: Leaf, held: Iterable[Authority], now: datetime) -> bool:
    """Tell whether clients accept a certificate now and for a while."""
    # In this order: a time at the end of all times has none after it.
    if now < leaf.not_before or not any(each.id == leaf.issuer for each in held):
        return False
    return now < leaf.not_after - (leaf.not_after - leaf.created) / _LAST


def _settled(authority: Authority, now: datetime, terms: Terms) -> bool:
    return authority.published is not None and authority.published + terms.settle <= now


def _succeeded(youngest: Authority, leaf: Leaf, asked: RotationRequest, now: datetime, terms: Terms) -> bool:
    """Tell whether the youngest CA is to have a successor: one at a time, so only once it is in use."""
    if youngest.id != leaf.issuer:
        return False
    return _wanted(asked.authority, youngest.created, now) or now >= due(
        youngest.created, youngest.not_after, terms.authority_life
    )


def _replaced(leaf: Leaf, issuer: Authority, asked: RotationRequest, now: datetime, terms: Terms) -> bool:
    """Tell whether a certificate that is still good is to be replaced by one of this CA."""
    return (
        leaf.issuer != issuer.id
        or leaf.names != terms.names
        or _wanted(asked.leaf, leaf.created, now)
        or now >= due(leaf.created, leaf.not_after, terms.leaf_life)
    )


def _wanted(asked: datetime | None, created: datetime, now: datetime) -> bool:
    # Certificates know whole seconds alone: what was made upon the asking must not look older than that.
    return asked is not None and created < asked.replace(microsecond=0) <= now


def _ended(authority: Authority, now: datetime, terms: Terms) -> Authority:
    """Return a CA that issues no more, and goes when every process serves what its successor issued."""
    until = authority.until or now.replace(microsecond=0) + terms.settle
    return replace(authority, key=None, until=until)
