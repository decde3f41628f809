"""A Git repository on this machine, a real Argo CD, and applications that it keeps in step with the repository.

Holds: what is waited for is what Argo CD itself says of an application, at a revision that the test knows.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from localcluster import build
from localcluster.access import Cluster
from localcluster.argocd import NAMESPACE, ArgoCD, Programs
from localcluster.rest import Answer, Rest
from support.installation import MANAGER, accepted
from support.objects import Object
from support.pages import DOCS
from support.waits import until

APPLICATIONS: Final = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications"
TRACKING: Final = "argocd.argoproj.io/tracking-id"
_SETTINGS: Final = DOCS.parent / "charts" / "bailiwick" / "argocd" / "argocd-cm.yaml"
_IMPERSONATION: Final = "application.sync.impersonation.enabled"
_REFRESH: Final = "argocd.argoproj.io/refresh"
_SECONDS: Final = 60.0


def programs() -> Programs:
    """Return what runs; built if need be."""
    return Programs(build.ensure(build.argocd()), build.ensure(build.helm()))


@contextmanager
def argocd_on(cluster: Cluster, *, application_sets: bool = True) -> Iterator[ArgoCD]:
    """Run it as its install.yaml has it, with our health scripts, and acting as the account that a project names."""
    data = yaml.safe_load(_SETTINGS.read_text(encoding="utf-8"))["data"]
    with (
        tempfile.TemporaryDirectory(prefix="argocd-", ignore_cleanup_errors=True) as folder,
        ArgoCD(
            programs(), cluster, Path(folder), {**data, _IMPERSONATION: "true"}, application_sets=application_sets
        ) as running,
    ):
        yield running


class Repository:
    """One repository with one branch, `main`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        # Nothing of the user's own settings, such as a signing key or a hook.
        self._environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            **{f"GIT_{who}_NAME": "Tests" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "tests@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        self._git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        """Where Argo CD finds it."""
        return self._folder.as_uri()

    @property
    def head(self) -> str:
        """The commit that `main` is at."""
        return self._git("rev-parse", "main").strip()

    def path(self, name: str) -> Path:
        """Return where a file or folder lies."""
        return self._folder / name

    def write(self, name: str, *documents: Object) -> None:
        """Put objects into a file, and commit."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
        self.commit(f"Write {name}")

    def remove(self, name: str) -> None:
        """Remove a file, and commit."""
        self.path(name).unlink()
        self.commit(f"Remove {name}")

    def commit(self, message: str) -> None:
        """Commit whatever was changed."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)

    def _git(self, *arguments: str) -> str:
        answer = subprocess.run(
            ["git", *arguments], cwd=self._folder, env=self._environment, check=True, capture_output=True, text=True
        )
        return answer.stdout


@dataclass
class Application:
    """One application, as Argo CD has it."""

    admin: Rest
    repository: Repository
    name: str

    @property
    def path(self) -> str:
        """Where it stands at the API server."""
        return f"{APPLICATIONS}/{self.name}"

    def status(self) -> Object:
        """Return its status."""
        found: Object = accepted(self.admin.get(self.path)).get("status") or {}
        return found

    def resource(self, kind: str, name: str) -> Object:
        """Return what it says of one of its objects; empty where it has none of this name."""
        entries = self.status().get("resources") or ()
        return next((entry for entry in entries if (entry["kind"], entry["name"]) == (kind, name)), {})

    def refresh(self, how: str = "normal") -> Object:
        """Make Argo CD compare anew, with what `main` is now, and return its status."""
        accepted(self.admin.patch(self.path, {"metadata": {"annotations": {_REFRESH: how}}}, "merge"))

        def asked(answer: Answer) -> bool:
            return _REFRESH in (answer.body["metadata"].get("annotations") or {})

        # Argo CD takes the annotation away in the same write as it tells what it found.
        compared = self.admin.wait(self.path, lambda answer: not asked(answer), _SECONDS).body
        status: Object = compared.get("status") or {}
        return status

    def await_(self, holds: Callable[[Object], object], what: str, seconds: float = _SECONDS) -> Object:
        """Refresh until its status is as wanted, and return it."""
        self.refresh()
        try:
            until(lambda: holds(self.status()), f"{self.name}: {what}", seconds)
        except TimeoutError as error:
            error.add_note(yaml.safe_dump(self.status(), sort_keys=False))
            raise
        return self.status()

    def await_settled(self, health: str = "Healthy", seconds: float = _SECONDS) -> Object:
        """Wait until what `main` has now is in the cluster, and of this health."""
        return self.await_(lambda status: self._settled(status, health), f"Synced and {health}", seconds)

    def await_refused(self, words: str) -> Object:
        """Wait until Argo CD tells that what `main` has now was refused, in these words of the API server's."""

        def refused(status: Object) -> bool:
            told = [entry["message"] for entry in status.get("conditions") or ()]
            state = status.get("operationState") or {}
            if (state.get("syncResult") or {}).get("revision") == self.repository.head:
                told += [state.get("message", "")]
                told += [entry["message"] for entry in (state.get("syncResult") or {}).get("resources") or ()]
            return any(words in message for message in told)

        # Of a server-side diff it tells only until it compares of itself.
        try:
            until(lambda: refused(self.refresh()), f"{self.name} is refused with {words!r}", _SECONDS)
        except TimeoutError as error:
            error.add_note(yaml.safe_dump(self.status(), sort_keys=False))
            raise
        return self.status()

    def syncs(self) -> int:
        """Return how many syncs it had."""
        return len(self.status().get("history") or ())

    def delete(self) -> None:
        """Delete it, and leave what it brought."""
        self.admin.delete(self.path)

    def _settled(self, status: Object, health: str) -> bool:
        sync, state = status.get("sync") or {}, status.get("operationState") or {}
        return (
            (sync.get("status"), sync.get("revision")) == ("Synced", self.repository.head)
            and (status.get("health") or {}).get("status") == health
            and state.get("phase") == "Succeeded"
        )


@dataclass
class Applications:
    """Makes applications; `clean` deletes them."""

    admin: Rest
    repository: Repository
    made: list[Application] = field(default_factory=list)

    def apply(self, *documents: Object) -> Application:
        """Apply an Application and what belongs to it."""
        for document in documents:
            accepted(self.admin.apply(document, MANAGER, force=True))
        (name,) = (document["metadata"]["name"] for document in documents if document["kind"] == "Application")
        application = Application(self.admin, self.repository, name)
        self.made.append(application)
        return application

    def clean(self) -> None:
        """Delete them."""
        for application in self.made:
            application.delete()
        self.made.clear()
