"""A Secret as the kubelet mounts it: a folder whose files are links through `..data`, which is swapped in one step."""

import os
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Final

_DATA: Final = "..data"


class SecretMount:
    """One mounted Secret, empty at first."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._numbers = count()

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def fill(self, content: Mapping[str, str]) -> None:
        """Put content in the place of what is there, as the kubelet does."""
        fresh = self.folder / f"..{next(self._numbers)}"
        fresh.mkdir()
        for name, text in content.items():
            (fresh / name).write_text(text)
        link, data = self.folder / "..data_tmp", self.folder / _DATA
        old = data.resolve() if data.is_symlink() else None
        link.symlink_to(fresh.name)
        link.rename(data)
        for name in content:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(os.path.join(_DATA, name))  # noqa: PTH118 - the text of a link
        if old is not None:
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
