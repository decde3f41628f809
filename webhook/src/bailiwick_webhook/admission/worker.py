"""`python -m bailiwick_webhook.admission.worker`: compiles the policies of reviews in a process of its own.

Standing: started and ended by `bench`. A frame is its length in four bytes, and so many bytes: reviews come in on
standard input, findings go out on standard output, one for each. Holds: it keeps nothing and reaches nobody; it ends
when its input does.
"""

import gc
import os
import sys
from typing import BinaryIO, Final

import msgspec

from bailiwick_webhook.admission.review import Finding, examine

HEAD: Final = 4
# Decisions go first where the cores are short.
_NICE: Final = 5

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final[msgspec.msgpack.Decoder[Finding]] = msgspec.msgpack.Decoder(Finding)


def main() -> None:
    """Answer frames until there are none. An argument: how many bytes a policy may take that is to be compiled."""
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    os.nice(_NICE)
    given, told = sys.stdin.buffer, sys.stdout.buffer
    # What a library prints must not get between the frames.
    sys.stdout = sys.stderr
    gc.freeze()
    while (raw := _frame(given)) is not None:
        finding = _ENCODER.encode(examine(raw, most))
        del raw
        told.write(len(finding).to_bytes(HEAD, "big") + finding)
        told.flush()


def decode(raw: bytes) -> Finding:
    """Read a finding. Raises `msgspec.MsgspecError`: what comes back is not believed to be one."""
    return _DECODER.decode(raw)


def _frame(given: BinaryIO) -> bytes | None:
    head = given.read(HEAD)
    if len(head) < HEAD:
        return None
    length = int.from_bytes(head, "big")
    body = given.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    main()
