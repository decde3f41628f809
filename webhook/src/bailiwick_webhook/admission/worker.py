"""`python -m bailiwick_webhook.admission.worker`: compiles the policies of reviews in a process of its own.

Standing: started and ended by `bench`. A frame is its length in four bytes, and so many bytes: reviews come in on
standard input, findings go out on standard output, one for each; after one that says so, what the policy lets further.
The first frame is empty: it says that all is imported.
Holds: it keeps nothing and opens no connection; it ends when its input does.
"""

import gc
import os
import sys
import time
from typing import BinaryIO, Final

import msgspec

from bailiwick_webhook.admission.comparison import widening
from bailiwick_webhook.admission.review import Finding, examine

HEAD: Final = 4
# Decisions go first where the cores are short.
_NICE: Final = 5
COMPARING_SECONDS: Final = 0.5
"""For so long calls are compared; what was not compared then is reported as such."""

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Finding]] = msgspec.msgpack.Decoder(Finding)
_WARNINGS: Final[msgspec.msgpack.Decoder[tuple[str, ...]]] = msgspec.msgpack.Decoder(tuple[str, ...])


def main() -> None:
    """Answer frames until there are none. An argument: how many bytes a policy may take that is to be compiled."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    os.nice(_NICE)
    given, told = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not get between the frames.
    sys.stdout = sys.stderr
    gc.freeze()
    _send(told, b"")
    while (raw := _frame(given)) is not None:
        finding, edit = examine(raw, most)
        del raw
        _tell(told, finding)
        if edit is not None:
            until = time.monotonic() + COMPARING_SECONDS
            _tell(told, widening(edit, time.time(), lambda: time.monotonic() >= until))  # noqa: B023 - asked at once
            del edit


def decode(raw: bytes) -> Finding:
    """Read a finding. Raises `msgspec.MsgspecError`: what comes back is not believed to be one."""
    return _DECODER.decode(raw)


def decode_warnings(raw: bytes) -> tuple[str, ...]:
    """Read what follows a finding. Raises `msgspec.MsgspecError` likewise."""
    return _WARNINGS.decode(raw)


def _tell(told: BinaryIO, what: object) -> None:
    _send(told, _ENCODER.encode(what))


def _send(told: BinaryIO, raw: bytes) -> None:
    told.write(len(raw).to_bytes(HEAD, "big") + raw)
    told.flush()


def _frame(given: BinaryIO) -> bytes | None:
    head = given.read(HEAD)
    if len(head) < HEAD:
        return None
    length = int.from_bytes(head, "big")
    body = given.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    main()
