"""A running Bailiwick whose processes know a registrar, and the reviewers' file that a registrar keeps there.

Holds: whoever enrols here does it as a registrar does: the file is raised, signed and applied.
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bailiwick_engine.signatures.passkeyorigins import LOCAL_CONSOLES
from support.pdp.processes import Bailiwick
from support.pdp.tenant import Tenants
from support.signing.sshkeygen import made_key
from support.signing.storedkeys import apply, config_map


@dataclass
class SignedInstallation:
    """An operator and one decision point that take signed reviews. `lines` are of the people who are enrolled."""

    bailiwick: Bailiwick
    tenants: Tenants
    registrar: Path
    lines: list[str] = field(default_factory=list)
    serial: int = 0

    @classmethod
    def begin(cls, closing: ExitStack, folder: Path) -> Self:
        """Start everything; it ends with `closing`."""
        registrar = made_key(folder / "registrar", "registrar")
        flags = (
            *("--registrar-keys", f"{registrar}.pub", "--reviewers-installation", "test"),
            *("--passkey-origin", LOCAL_CONSOLES),
        )
        bailiwick = Bailiwick.begin(closing, replicas=0)
        bailiwick.stop_operator()
        bailiwick.operator = bailiwick.stack.start_operator(*flags)
        point = bailiwick.start_point(*flags)
        self = cls(bailiwick, bailiwick.tenants(point), registrar)
        self.enrol()
        return self

    @property
    def registrar_keys(self) -> Path:
        """The file of registrars' public keys."""
        return self.registrar.with_name(f"{self.registrar.name}.pub")

    def enrol(self, *lines: str) -> None:
        """Add lines to the reviewers' file, and apply it."""
        self.lines += lines
        self.serial += 1
        namespace = self.bailiwick.installation.namespace
        made = config_map(*self.lines, registrar=self.registrar, serial=self.serial, namespace=namespace)
        apply(self.bailiwick.callers.admin, made)
