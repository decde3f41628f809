"""The virtual authenticator of Chromium, by its protocol for developers (CDP, domain WebAuthn).

Holds: it answers as a passkey of the device does that has verified its user, until a test says otherwise.
"""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from playwright.sync_api import Page

_OPTIONS: Final = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


class VirtualAuthenticator:
    """One authenticator of a page."""

    def __init__(self, page: "Page") -> None:
        self._session: Any = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        self._name = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": _OPTIONS})["authenticatorId"]

    def verify_user(self, *, verified: bool) -> None:
        """Say whether it recognizes its user from now on."""
        self._send("WebAuthn.setUserVerified", isUserVerified=verified)

    @property
    def credentials(self) -> list[dict[str, Any]]:
        """What it holds."""
        found: list[dict[str, Any]] = self._send("WebAuthn.getCredentials")["credentials"]
        return found

    def _send(self, method: str, **parameters: object) -> Any:  # noqa: ANN401 - as the protocol has it
        return self._session.send(method, {"authenticatorId": self._name, **parameters})
