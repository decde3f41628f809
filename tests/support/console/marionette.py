"""Firefox as a person drives it, by Marionette: the commands of WebDriver, each a line of JSON on a socket.

Holds: an element is pressed only where a person could press it; every wait ends.
"""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from browsers.firefox import ARGUMENTS, PORT_FILE, PREFERENCES, firefox
from support.waits import until

# https://www.w3.org/TR/webdriver2/#elements
_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"
_PATIENCE: Final = 60


class FirefoxError(AssertionError):
    """A command failed: its WebDriver error and what Firefox says of it."""


class Firefox:
    """One window of a Firefox that runs."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=2 * _PATIENCE)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._read()
        self.send("WebDriver:NewSession", capabilities={"alwaysMatch": {"unhandledPromptBehavior": "ignore"}})
        self.send("WebDriver:SetTimeouts", implicit=1000 * _PATIENCE, pageLoad=1000 * _PATIENCE)

    def send(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - as the command returns
        """Send a command and return its result. Raises `FirefoxError`."""
        self._number += 1
        body = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(body), body))
        _, number, error, result = self._read()
        assert number == self._number
        if error is not None:
            raise FirefoxError(f"{command}: {error['error']}: {error['message']}")
        return result["value"] if isinstance(result, dict) and result.keys() == {"value"} else result

    def open(self, url: str) -> None:
        """Load a page."""
        self.send("WebDriver:Navigate", url=url)

    def resize(self, width: int, height: int) -> None:
        """Give the page a window of this size."""
        around = self.run("return [outerWidth - innerWidth, outerHeight - innerHeight]")
        self.send("WebDriver:SetWindowRect", width=width + around[0], height=height + around[1])
        assert self.run("return [innerWidth, innerHeight]") == [width, height]

    def find(self, path: str) -> str:
        """Wait for the element of an XPath, and return its name in commands."""
        found: str = self.send("WebDriver:FindElement", using="xpath", value=path)[_ELEMENT]
        return found

    def holds(self, path: str) -> bool:
        """Tell whether the page has an element of an XPath now."""
        script = "return document.evaluate(arguments[0], document, null, XPathResult.BOOLEAN_TYPE).booleanValue"
        return bool(self.run(script, f"boolean({path})"))

    def press(self, path: str) -> None:
        """Press an element where it is. Fails if another one covers it."""
        self.send("WebDriver:ElementClick", id=self.find(path))

    def type(self, path: str, text: str) -> None:
        """Type into an element."""
        self.send("WebDriver:ElementSendKeys", id=self.find(path), text=text)

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - as the script returns
        """Run the body of a function in the page, beside its own scripts."""
        return self.send("WebDriver:ExecuteScript", script=script, args=list(arguments))

    def turn_wheel(self, down: int) -> None:
        """Turn the wheel by so many pixels over the middle of the page."""
        x, y = self.run("return [Math.floor(innerWidth / 2), Math.floor(innerHeight / 3)]")
        action = {"type": "scroll", "x": x, "y": y, "deltaX": 0, "deltaY": down}
        self.send("WebDriver:PerformActions", actions=[{"type": "wheel", "id": "wheel", "actions": [action]}])

    def close(self) -> None:
        """Close the connection."""
        self._file.close()
        self._socket.close()

    def _read(self) -> Any:  # noqa: ANN401 - JSON
        length = b""
        while (byte := self._file.read(1)) != b":":
            assert byte, "Firefox has closed the connection"
            length += byte
        return json.loads(self._file.read(int(length)))


@contextmanager
def running_firefox(profile: Path) -> Iterator[Firefox]:
    """Start a Firefox with a profile of its own, and end it."""
    profile.mkdir(parents=True)
    lines = (f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items())
    (profile / "user.js").write_text("".join(lines))
    port = profile / PORT_FILE
    with (profile.parent / f"{profile.name}.log").open("wb") as log:
        process = subprocess.Popen(
            [firefox(), *ARGUMENTS, "--profile", profile],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(profile), "MOZ_CRASHREPORTER_DISABLE": "1"},
            start_new_session=True,
        )
    try:
        until(lambda: process.poll() is not None or (port.exists() and port.read_text()), "Firefox listens")
        assert process.poll() is None, (profile.parent / f"{profile.name}.log").read_text()
        browser = Firefox(int(port.read_text()))
        try:
            yield browser
        finally:
            browser.close()
    finally:
        # With the processes of its pages.
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
