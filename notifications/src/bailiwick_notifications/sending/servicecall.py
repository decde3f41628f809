"""Calls one service through Apprise, in a process of its own that is killed when it takes too long.

Holds: the process gets the URL and the words, and of the environment only what Python needs to start: no token, no
address of the API server, no proxy.
"""

import asyncio
import json
import os
import sys
from typing import Final

from bailiwick_notifications.addresses import AddressRule
from bailiwick_notifications.sending.attempt import DELIVERED, DeliveryAttempt, attempt_from_status
from bailiwick_notifications.words import MessageText

_MODULE: Final = "bailiwick_notifications.sending.serviceprocess"
_WHO: Final = "the service"
_STARTING_SECONDS: Final = 10.0
_KEPT: Final = ("PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONOPTIMIZE", "LD_LIBRARY_PATH")


async def call_service(url: str, text: MessageText, rule: AddressRule, seconds: float) -> DeliveryAttempt:
    """Send, and return what came of it. `seconds`: for the service; the process has some more to start."""
    request = json.dumps(
        {
            "url": url,
            "title": text.title,
            "body": text.body,
            "public_only": rule.public_only,
            "allowed": [str(one) for one in rule.allowed],
            "refused": [str(one) for one in rule.refused],
        }
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", _MODULE),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT if name in os.environ} | {"PATH": ""},
            cwd="/",
        )
    except OSError as error:
        return DeliveryAttempt("failed", f"the process for services does not start: {error.strerror}")
    try:
        async with asyncio.timeout(seconds + _STARTING_SECONDS):
            said, _ = await process.communicate(request.encode())
    except TimeoutError:
        return DeliveryAttempt("failed", f"{_WHO} did not answer within {seconds + _STARTING_SECONDS:g} s")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _outcome(said)


def _outcome(said: bytes) -> DeliveryAttempt:
    try:
        answer = json.loads(said)
        delivered, understood, refused = answer["delivered"], answer["understood"], answer["refused"]
        status, error = answer.get("status"), answer.get("error")
    except (ValueError, LookupError, TypeError):
        return DeliveryAttempt("failed", "the process for services ended without an answer")
    if delivered is True:
        return DELIVERED
    if refused:
        return DeliveryAttempt("failed", str(refused[0])[:200])
    if understood is not True:
        return DeliveryAttempt("refused", "Apprise does not understand the URL")
    if isinstance(status, int) and attempt_from_status(status, _WHO).result != "delivered":
        return attempt_from_status(status, _WHO)
    return DeliveryAttempt("failed", f"{_WHO} did not take it" + (f" ({error})" if error else ""))
