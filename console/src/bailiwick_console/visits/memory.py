"""What one visit was shown and is still to be shown: forms, the grants behind them, and notices.

Holds: it is memory of this process and of one visit; a grant is found again only exactly as a page of this visit
showed it, under a key that was made for that page.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from bailiwick_governance.grants.grantview import GrantView

_SHOWN: Final = 256


@dataclass(frozen=True, slots=True)
class ShownGrant:
    """A grant exactly as a page showed it, under a name that only this visit knows."""

    key: str
    grant: GrantView


class PageMemory:
    """The pages of one visit, of which so many are remembered. `form_token` stands in each of its forms."""

    def __init__(self, most: int = _SHOWN) -> None:
        self._most = most
        self.form_token = secrets.token_urlsafe(32)
        self._shown: OrderedDict[str, ShownGrant] = OrderedDict()
        self._notices: OrderedDict[str, str] = OrderedDict()

    def sent(self, form_token: str) -> bool:
        """Tell whether a form is one that this visit was shown."""
        return same(form_token, self.form_token)

    def show(self, grant: GrantView) -> ShownGrant:
        """Remember a grant as it is shown now. The oldest of many are forgotten."""
        shown = ShownGrant(secrets.token_urlsafe(16), grant)
        self._shown[shown.key] = shown
        while len(self._shown) > self._most:
            self._shown.popitem(last=False)
        return shown

    def shown(self, key: str) -> ShownGrant | None:
        """Return a grant as it was shown; None where it never was, or was forgotten."""
        return self._shown.get(key)

    def notify(self, uid: str, told: str) -> None:
        """Have the next page of a grant tell what was done with it. The oldest of many are forgotten."""
        self._notices[uid] = told
        while len(self._notices) > self._most:
            self._notices.popitem(last=False)

    def take_notice(self, uid: str) -> str:
        """Return what the page of this grant is to tell, once; nothing where there is nothing."""
        return self._notices.pop(uid, "")


def same(given: str, secret: str) -> bool:
    """Tell whether somebody knows a secret, in a time that tells nothing of it."""
    return compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
