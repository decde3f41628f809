"""Keep on the disk of an API server, by the shipped files: only the place of the folder is put in."""

from pathlib import Path
from typing import Final

SHIPPED: Final = Path(__file__).parents[2] / "crds" / "keep" / "bailiwick-keep.yaml"
_CONFIGURATION: Final = Path(__file__).parents[2] / "examples" / "keep" / "admission.yaml"
_HOME: Final = "/etc/kubernetes/bailiwick/keep"


class KeepFolder:
    """The folder of static manifests of one API server, empty at first."""

    def __init__(self, folder: Path) -> None:
        self._manifests = folder / "keep"
        self._manifests.mkdir(parents=True)
        self._configuration = folder / "admission.yaml"
        text = _CONFIGURATION.read_text()
        assert _HOME in text
        self._configuration.write_text(text.replace(_HOME, str(self._manifests)))

    @property
    def flags(self) -> tuple[str, str]:
        """What an API server that reads it is started with."""
        return "--admission-control-config-file", str(self._configuration)

    @property
    def file(self) -> Path:
        return self._manifests / SHIPPED.name

    def put(self, text: str | None = None) -> None:
        """Put the shipped file there, or another text in its place, by rename."""
        new = self._manifests.parent / "new"
        new.write_text(SHIPPED.read_text() if text is None else text)
        new.replace(self.file)

    def take_away(self) -> None:
        """Move the file out of the folder, as before an upgrade."""
        self.file.replace(self._manifests.parent / "moved")
