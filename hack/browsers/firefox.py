"""Where Firefox is, and how it is started so that it speaks to nobody but the page.

Holds: Marionette, its own remote control, is on a port of loopback that it chooses and writes into its profile.
"""

from pathlib import Path
from typing import Final

from browsers.programs import path_of
from localcluster.node.needs import Program

PROGRAM: Final = Program("firefox-esr", "firefox-esr")
ARGUMENTS: Final = ("--headless", "--no-remote", "--marionette")
PORT_FILE: Final = "MarionetteActivePort"
"""The file of the profile that holds the port."""
# Marionette turns off most of what reaches the network by itself: updates, telemetry, Safe Browsing.
PREFERENCES: Final[dict[str, bool | int | str]] = {
    "marionette.port": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "services.settings.server": "data:,",
    "ui.systemUsesDarkTheme": 0,
}


def firefox() -> Path:
    """Return the program. Raises `NodeNeedsError`."""
    return path_of(PROGRAM, "Firefox")
