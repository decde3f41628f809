"""An enforcement point that asks so many calls a second, each over a connection of its own, from a process of its own.

Standing: `Steady` runs `python -m support.pdp.steady`, which is given what to ask as JSON on its input, and tells what
came of it. Holds: a call that takes long holds up none of the others, and each is timed from when it was due, so that
no wait is left out; nothing that a test does besides delays it.
"""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import PIPE
from typing import Any, Final, Self
from urllib.parse import urlsplit

from support.pdp.fresh import OWN, Calls

_TIMEOUT: Final = 5.0
_PROCESS: Final = "support.pdp.steady"


@dataclass(frozen=True, slots=True)
class Question:
    """One call as it is sent, and the decision that is right."""

    url: str
    token: str
    body: dict[str, Any]
    decision: bool


@dataclass
class JudgedCalls(Calls):
    """What came of calls whose right answers are known; `wrong` counts decisions and reasons."""

    wrong: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, told: dict[str, Any]) -> Self:
        """Read what the process told."""
        return cls(told["seconds"], Counter(told["failed"]), Counter(told["wrong"]))


def ask_steadily(certificate: Path, questions: Sequence[Question], a_second: float, seconds: float) -> JudgedCalls:
    """Ask the questions in turn, so many a second, for so long; return what came of it."""
    given = {
        "certificate": str(certificate),
        "questions": [asdict(question) for question in questions],
        "a_second": a_second,
        "seconds": seconds,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", _PROCESS]
    # In a session of its own: the kernel shares the processor among sessions, and ours may be at work on other things.
    done = subprocess.run(
        command,
        input=json.dumps(given),
        stdout=PIPE,
        text=True,
        check=False,
        env=environment,
        start_new_session=True,
    )
    assert done.returncode == 0, "what it said of itself stands on stderr"
    return JudgedCalls.of(json.loads(done.stdout))


async def _ask(question: Question, trusting: ssl.SSLContext, due: float, calls: JudgedCalls) -> None:
    parts = urlsplit(question.url)
    body = json.dumps(question.body).encode()
    lines = [
        f"POST {parts.path} HTTP/1.1",
        "Host: elsewhere.example",
        "Content-Type: application/json",
        f"Authorization: Bearer {question.token}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(_TIMEOUT):
            reader, writer = await asyncio.open_connection(OWN, parts.port, ssl=trusting, server_hostname=OWN)
            writer.write("\r\n".join([*lines, "", ""]).encode() + body)
            head, _, said = (await reader.read()).partition(b"\r\n\r\n")
    except OSError as error:
        calls.failed[type(error).__name__] += 1
        return
    finally:
        if writer is not None:
            writer.transport.abort()
    status = head.partition(b" ")[2][:3].decode()
    if status != "200":
        calls.failed[status or "no answer"] += 1
        return
    answer = json.loads(said)
    if answer["decision"] is question.decision:
        calls.seconds.append(time.monotonic() - due)
    else:
        calls.wrong[f"{answer['decision']} {answer['context']['reason']}"] += 1


async def _run(given: dict[str, Any]) -> JudgedCalls:
    calls, trusting = JudgedCalls(), ssl.create_default_context(cafile=given["certificate"])
    questions = [Question(**question) for question in given["questions"]]
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(int(given["seconds"] * given["a_second"])):
            due = began + number / given["a_second"]
            await asyncio.sleep(due - time.monotonic())
            group.create_task(_ask(questions[number % len(questions)], trusting, due, calls))
    return calls


if __name__ == "__main__":
    came = asyncio.run(_run(json.load(sys.stdin)))
    json.dump({"seconds": came.seconds, "failed": came.failed, "wrong": came.wrong}, sys.stdout)
