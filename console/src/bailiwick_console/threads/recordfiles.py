"""Which files the console was given, and how they are read.

Holds: a folder is the files that are in it when it is looked at, and none below it; nothing is followed out of it; a
name never comes from a browser.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from bailiwick_console.threads.background import WorkProgress
from bailiwick_evidence.audit.claims import WitnessBook
from bailiwick_evidence.audit.lines import ChainLine
from bailiwick_evidence.audit.logaudit import LogAudit
from bailiwick_governance.arguments import STDIN
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.logfiles import LogFiles
from bailiwick_governance.records.witnesskeys import keys_of

LogReading = Callable[[str], tuple[LogAudit, Iterable[ChainLine]]]


class RecordFiles:
    """Files and folders that were named. `keys`: of the witnesses that the person trusts, or files of them.

    Raises `UserError` where one is none.
    """

    def __init__(self, named: Sequence[str], keys: Sequence[str] = ()) -> None:
        self.named = tuple(dict.fromkeys(named))
        self._keys = keys_of(keys)
        for name in self.named:
            if name == STDIN:
                raise UserError("--records takes files and folders: standard input can be read only once")
            if not (Path(name).is_file() or Path(name).is_dir()):
                raise UserError(f"--records: {name} is neither a file nor a folder")

    def names(self) -> list[str]:
        """Return the files as they are there now, those of a folder in order of name. Raises `UserError`."""
        found: list[str] = []
        for name in self.named:
            path = Path(name)
            try:
                inside = [one for one in sorted(path.iterdir()) if one.is_file() and not one.is_symlink()]
            except NotADirectoryError:
                found.append(name)
            except OSError as error:
                raise UserError(f"{name} cannot be read: {error.strerror or error}") from error
            else:
                found += [str(one) for one in inside]
        if not found:
            raise UserError(f"--records: there is no file in {', '.join(self.named)}")
        return found

    def reading(self, progress: WorkProgress) -> LogReading:
        """Return what reads all of them from the beginning, once more at each call. Raises `UserError`."""
        names = self.names()

        def read(doing: str) -> tuple[LogAudit, Iterable[ChainLine]]:
            files = LogFiles(names, heard=progress.heard)
            progress.begin(doing, files.total)
            audit = LogAudit(WitnessBook(self._keys))
            return audit, files.lines(audit, doing)

        return read

    def texts(self, progress: WorkProgress) -> Iterator[tuple[str, int, bytes]]:
        """Yield each line of all of them, with its file and its number. Raises `UserError`."""
        files = LogFiles(self.names(), heard=progress.heard)
        progress.begin("Reading lines", files.total)
        yield from files.texts()
