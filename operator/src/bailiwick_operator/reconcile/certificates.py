"""Plans which CAs and which serving certificate there should be, from those that exist and the time. Pure.

`bailiwick_operator.certificates.keeper` observes and carries out the plan; `bailiwick_operator.certificates.issuer`
makes the keys and certificates that the plan asks for.

Holds: a CA issues only after it has been seen for `settle` in everything that is published. An older CA stays published
for `settle` after the certificate that it issued was replaced. So no client that read what was published in the
meantime ever meets a certificate that it does not trust. A CA issues at once only where nothing could be served: at the
start, and after a loss. A CA whose successor issues has its key destroyed. No time is believed that was stamped by a
clock that ran ahead.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

BACKDATE: Final = timedelta(minutes=5)
"""How long before it is issued a certificate begins, for clients whose clocks are behind."""
SKEW: Final = timedelta(seconds=60)
# Do not wait for the last moment: in the last tenth of its life a certificate is replaced by any CA that can issue.
_LAST: Final = 10


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a CA and a certificate live, how long a published CA settles, and for which names."""

    names: frozenset[str]
    authority_life: timedelta = timedelta(days=5 * 365)
    leaf_life: timedelta = timedelta(days=90)
    settle: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Authority:
    """One CA. `id` is the SHA-256 of its certificate. Certificate and key are PEM.

    `key` None: it issues no more. `published`: since when it has been seen in everything that is published.
    `until`: when it is removed from that; None while certificates that it issued may be in use.
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
        """The key by which CAs are sorted."""
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
    """A rotation that was requested by hand: replace what was made before this moment. None: no request."""

    authority: datetime | None = None
    leaf: datetime | None = None


@dataclass(frozen=True, slots=True)
class ObservedCertificates:
    """What exists. `leaf` None: there is none that fits its key and was signed by one of `authorities`.

    `bundled`: the ids of the CAs that are in everything that is published.
    """

    authorities: tuple[Authority, ...] = ()
    leaf: Leaf | None = None
    bundled: frozenset[str] = frozenset()
    asked: RotationRequest = RotationRequest()


@dataclass(frozen=True, slots=True)
class CertificatePlan:
    """The plan: the CAs, oldest first, all of which are published, and the serving certificate."""

    authorities: tuple[Authority, ...]
    leaf: Leaf

    @property
    def bundle(self) -> str:
        """The certificates to publish, as PEM."""
        return "".join(authority.certificate for authority in self.authorities)


class Maker(Protocol):
    """Makes keys and certificates."""

    def authority(self, now: datetime) -> Authority:
        """Return a new CA, which no client has seen yet."""

    def leaf(self, issuer: Authority, now: datetime) -> Leaf:
        """Return a new certificate of a CA that has a key; it ends before its issuer does."""


def reconcile(observed: ObservedCertificates, now: datetime, terms: Terms, make: Maker) -> CertificatePlan:
    """Return the plan, with a time stamp on each CA that was seen for the first time."""
    held = sorted(
        (_with_times(each, observed, now, terms) for each in observed.authorities if each.lives(now)), key=_age
    )
    leaf = observed.leaf if observed.leaf is not None and _is_usable(observed.leaf, held, now) else None
    able = [each for each in held if each.key is not None and each.until is None]
    if not able or (leaf is not None and _needs_successor(able[-1], leaf, observed.asked, now, terms)):
        new = make.authority(now)
        held.append(new)
        able.append(new)
    # Every client that is served knows the CA that issued the certificate being served.
    known = [each for each in able if _is_settled(each, now, terms) or (leaf is not None and each.id == leaf.issuer)]
    if leaf is None:
        # If it is not certain that clients know any of them, most clients know the oldest.
        leaf = make.leaf(known[-1] if known else able[0], now)
    elif known and _needs_replacement(leaf, known[-1], observed.asked, now, terms):
        leaf = make.leaf(known[-1], now)
    else:
        # The certificate being served was issued by the last of the known CAs, if there is one. So the CAs before it
        # have nothing left to issue, and those without a key never had.
        # Certificates know whole seconds alone: of two that were made in one, neither came before the other.
        last = (known[-1] if known else held[0]).not_before
        held = [
            _retire(each, now, terms)
            if each.id != leaf.issuer and (each.key is None or each.not_before < last)
            else each
            for each in held
        ]
    return CertificatePlan(tuple(sorted(held, key=_age)), leaf)


def due(created: datetime, not_after: datetime, life: timedelta) -> datetime:
    """Return when to make a successor: after two thirds of the actual life or of the intended one, if that is less."""
    return created + min(not_after - created, life) * 2 / 3


def _age(authority: Authority) -> tuple[datetime, str]:
    return authority.age


def _with_times(authority: Authority, observed: ObservedCertificates, now: datetime, terms: Terms) -> Authority:
    """Return a CA with the time since when it has been published, and with impossible times corrected."""
    published, until = authority.published, authority.until
    if authority.id not in observed.bundled:
        published = None
    elif published is None or published > now + SKEW:
        published = now.replace(microsecond=0)
    if until is not None:
        until = min(until, now.replace(microsecond=0) + terms.settle + SKEW)
    return replace(authority, published=published, until=until)


def _is_usable(leaf: Leaf, held: Iterable[Authority], now: datetime) -> bool:
    """Tell whether clients accept a certificate now and for a while."""
    # In this order: arithmetic on the latest time that can be represented would overflow.
    if now < leaf.not_before or not any(each.id == leaf.issuer for each in held):
        return False
    return now < leaf.not_after - (leaf.not_after - leaf.created) / _LAST


def _is_settled(authority: Authority, now: datetime, terms: Terms) -> bool:
    return authority.published is not None and authority.published + terms.settle <= now


def _needs_successor(youngest: Authority, leaf: Leaf, asked: RotationRequest, now: datetime, terms: Terms) -> bool:
    """Tell whether the youngest CA needs a successor: one at a time, so only once it is in use."""
    if youngest.id != leaf.issuer:
        return False
    return _is_requested(asked.authority, youngest.created, now) or now >= due(
        youngest.created, youngest.not_after, terms.authority_life
    )


def _needs_replacement(leaf: Leaf, issuer: Authority, asked: RotationRequest, now: datetime, terms: Terms) -> bool:
    """Tell whether a certificate that is still usable is to be replaced by one of this CA."""
    return (
        leaf.issuer != issuer.id
        or leaf.names != terms.names
        or _is_requested(asked.leaf, leaf.created, now)
        or now >= due(leaf.created, leaf.not_after, terms.leaf_life)
    )


def _is_requested(moment: datetime | None, created: datetime, now: datetime) -> bool:
    # Certificates have whole seconds alone: what was made because of the request must not look older than it.
    return moment is not None and created < moment.replace(microsecond=0) <= now


def _retire(authority: Authority, now: datetime, terms: Terms) -> Authority:
    """Return a CA that issues no more, and is removed when every process serves what its successor issued."""
    until = authority.until or now.replace(microsecond=0) + terms.settle
    return replace(authority, key=None, until=until)
