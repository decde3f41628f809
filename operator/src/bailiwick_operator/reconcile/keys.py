"""Plans which signing keys there should be, from the present ones and the time. Pure; `keys` of the operator does it.

Holds: a new key is published some time before it signs, so that every replica and every client knows it by then; an
older key stays until the last token that it signed has expired. A key signs at once only where no key could sign: the
first one, and the one after a loss. A replica that cannot read the keys issues and accepts no token, so a loss
invalidates tokens and allows nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bailiwick_api.signingkeys import MAX_KEYS, MAX_SKEW, MAX_TOKEN_LIFETIME, SigningKey, signing

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """`every`: how long a key signs before the next is published. `publish`: how long that one waits before it signs.

    A replica whose view of the Secret is at most `publish` old signs by the same key as all others.
    """

    every: timedelta = timedelta(days=30)
    publish: timedelta = timedelta(seconds=600)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair that was just made."""

    kid: str
    pem: str


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The keys as they should be, oldest first, and when to look again at the latest."""

    keys: tuple[SigningKey, ...]
    wake: datetime


def reconcile(
    present: tuple[SigningKey, ...], now: datetime, rotation: KeyRotation, make: Callable[[], NewKey]
) -> KeyPlan:
    """Return the keys as they should be. `make` is called for each new key; `present` is empty where there are none."""
    # A key that begins later than any that we would make now was stamped by a clock that ran ahead. It signed nothing.
    latest = now + rotation.publish + MAX_SKEW
    keys = sorted((key for key in present if key.is_accepted(now) and key.sign_from <= latest), key=_age)
    if signing(keys, now + MAX_SKEW) is None:
        begins = now.replace(microsecond=0)
        keys = [_new_key(make(), now, begins), *keys]
    elif now >= _successor_time(keys[-1], now, rotation) and len(keys) < MAX_KEYS:
        keys.append(_new_key(make(), now, _round_up(now + rotation.publish)))
    keys.sort(key=_age)
    ended = [_with_end(key, keys[index + 1 :]) for index, key in enumerate(keys)]
    wakes = [key.until for key in ended if key.until is not None]
    # At the maximum, the oldest key must be removed first.
    if len(ended) < MAX_KEYS:
        wakes.append(_successor_time(ended[-1], now, rotation))
    return KeyPlan(tuple(ended), min(wakes))


def _age(key: SigningKey) -> tuple[datetime, datetime, str]:
    return key.age


def _successor_time(youngest: SigningKey, now: datetime, rotation: KeyRotation) -> datetime:
    """Return when the successor of the youngest key is to be published."""
    # The youngest key has an end only because it was edited by hand, or because its successor was removed.
    if youngest.until is not None:
        return now
    return max(youngest.created, youngest.sign_from) + rotation.every


def _new_key(fresh: NewKey, now: datetime, begins: datetime) -> SigningKey:
    return SigningKey(fresh.kid, fresh.pem, now.replace(microsecond=0), begins, None)


def _with_end(key: SigningKey, younger: list[SigningKey]) -> SigningKey:
    """Return a key with its end: it signs its last token when the next key begins to sign."""
    if key.until is not None or not younger:
        return key
    return replace(key, until=younger[0].sign_from + MAX_TOKEN_LIFETIME + MAX_SKEW)


def _round_up(moment: datetime) -> datetime:
    whole = moment.replace(microsecond=0)
    return whole if whole == moment else whole + _SECOND
