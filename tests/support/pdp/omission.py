"""A decision point that leaves denials out of its log. Standing: run as a program, with the flags of the real one."""

from bailiwick_webhook.main import main
from bailiwick_webhook.record.writing.writer import RecordWriter

_OMITTED = b'"decision":false'
_take, _write = RecordWriter.take, RecordWriter.write


def take(self: RecordWriter, line: bytes) -> bool:
    return _OMITTED in line or _take(self, line)


async def write(self: RecordWriter, line: bytes, *, must: bool = True) -> None:
    if _OMITTED not in line:
        await _write(self, line, must=must)


if __name__ == "__main__":
    RecordWriter.take, RecordWriter.write = take, write  # type: ignore[method-assign]  # what it hides by
    raise SystemExit(main())
