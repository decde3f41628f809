"""A cluster as tests and the demo see it, however it came up.

Standing: the package's front door. Everything about a person is in that person's kubeconfig, so a cluster
of our own (static tokens) and a cluster of yours (impersonation) differ in nothing but those files.
"""

import atexit
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from localcluster import kubeconfig, login
from localcluster.errors import AccessError
from localcluster.people import ADMIN, PEOPLE, Person
from localcluster.rest import Rest
from localcluster.tokenrequest import Account, IssuedToken, issue

KUBECONFIGS = "kubeconfigs"


@dataclass(frozen=True, slots=True)
class Cluster:
    """How to reach a cluster, and as whom.

    `folder` holds a kubeconfig for each of `people`; `ca_file` is the PEM file that its server verifies
    by, None where that is any authority this system trusts.
    """

    server: str
    ca_file: Path | None
    admin_kubeconfig: Path
    folder: Path
    people: Mapping[str, Person]

    @classmethod
    def with_tokens(
        cls, base: kubeconfig.Kubeconfig, folder: Path, people: Iterable[Person], tokens: Mapping[str, str]
    ) -> Self:
        """Describe a cluster whose API server knows these people by token; writes their kubeconfigs."""
        everyone = {person.name: person for person in people}
        for name in everyone:
            base.with_user(name, {"token": tokens[name]}).write(_path(folder, name))
        return cls.at(folder, everyone.values())

    @classmethod
    def from_kubeconfig(
        cls, path: Path | None = None, *, folder: Path | None = None, people: Iterable[Person] = PEOPLE
    ) -> Self:
        """Describe the cluster of a kubeconfig's current context; its user must be allowed to impersonate.

        Without a path, the files are those that kubectl would read. `admin` is that user itself, everybody
        else is impersonated. The kubeconfigs go to `folder`, or to one that goes away with this process.
        """
        base = kubeconfig.read([path] if path else kubeconfig.default_paths())
        if folder is None:
            folder = Path(tempfile.mkdtemp(prefix="bailiwick-cluster-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        everyone = {person.name: person for person in people}
        base.write(_path(folder, ADMIN))
        for name, person in everyone.items():
            if name != ADMIN:
                base.as_person(person).write(_path(folder, name))
        return cls.at(folder, everyone.values())

    @classmethod
    def at(cls, folder: Path, people: Iterable[Person] = PEOPLE) -> Self:
        """Describe a cluster whose kubeconfigs are in this folder already."""
        admin = _path(folder, ADMIN)
        entry = login.from_file(admin)
        known = {person.name: person for person in people if _path(folder, person.name).exists()}
        return cls(entry.server, entry.authority, admin, folder, known)

    def kubeconfig(self, person: str = ADMIN) -> Path:
        """Return the path of a person's kubeconfig."""
        if person != ADMIN and person not in self.people:
            msg = f"There is no test person {person!r}: choose one of {', '.join(sorted(self.people))}."
            raise AccessError(msg)
        return _path(self.folder, person)

    def rest(self, person: str = ADMIN) -> Rest:
        """Call as a person."""
        return Rest(login.from_file(self.kubeconfig(person)))

    def service_account_token(
        self,
        namespace: str,
        name: str,
        audiences: Sequence[str] = (),
        seconds: int = 3600,
        bound_to: Mapping[str, Any] | None = None,
    ) -> str:
        """Ask for a token of a service account; see `tokenrequest.issue`."""
        return self.issue_token(Account(namespace, name, tuple(audiences), seconds), bound_to).value

    def issue_token(self, account: Account, bound_to: Mapping[str, Any] | None = None) -> IssuedToken:
        """Ask for a token, and learn when it ends."""
        return issue(self.rest(), account, bound_to)

    def rest_as_service_account(self, namespace: str, name: str, seconds: int = 3600) -> Rest:
        """Call as a service account, by a token for the API server itself."""
        token = self.service_account_token(namespace, name, seconds=seconds)
        return Rest(login.with_token(self.server, self.ca_file, token))

    def rest_with_token(self, token: str) -> Rest:
        """Call with a bearer token of any kind."""
        return Rest(login.with_token(self.server, self.ca_file, token))

    def rest_anonymous(self) -> Rest:
        """Call as nobody."""
        return Rest(login.Login(self.server, self.ca_file))


def _path(folder: Path, person: str) -> Path:
    return folder / KUBECONFIGS / f"{person}.kubeconfig"
