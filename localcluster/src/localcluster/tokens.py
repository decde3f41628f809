"""A file that always holds a fresh token of one service account, as a pod's projected volume does.

Standing: lets a plain process run as a service account, by the kubeconfig that `write_kubeconfig` makes.
The file is replaced by a rename, mode 0600, when 80 % of the token's life are over, like the kubelet does
it; a reader never finds it missing or half written.
"""

import datetime
import logging
import threading
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from localcluster import kubeconfig
from localcluster.access import Cluster
from localcluster.errors import LocalClusterError
from localcluster.files import write_secret
from localcluster.tokenrequest import Account, IssuedToken

_LOG: Final = logging.getLogger(__name__)
# The wall clock is looked at this often: a machine that slept must notice that its token ran out.
_LOOK_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 2.0


class TokenFile:
    """Keeps the file filled while it runs; also a context manager."""

    def __init__(self, cluster: Cluster, account: Account, path: Path, *, renew_after: float = 0.8) -> None:
        """Describe it. `renew_after` is the part of its life after which a token is replaced."""
        self._cluster = cluster
        self._account = account
        self._renew_after = renew_after
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.path: Final = path.absolute()

    def start(self) -> Self:
        """Write the first token, or raise why there is none; then go on in a thread that ends with Python."""
        issued = self._renew()
        self._stopping.clear()
        self._thread = threading.Thread(target=self.keep, args=(issued,), name=f"token {self.path}", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop renewing; the last token stays in the file until it ends by itself."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def write_kubeconfig(self, path: Path | None = None) -> Path:
        """Write a kubeconfig that reads the token from the file; beside it, if not told otherwise."""
        admin = kubeconfig.read([self._cluster.admin_kubeconfig])
        name = f"{self._account.namespace}-{self._account.name}"
        login = admin.with_user(name, {"tokenFile": str(self.path)})
        return login.write(path or self.path.with_name(f"{self.path.name}.kubeconfig"))

    def keep(self, issued: IssuedToken | None = None, *, give_up: bool = False) -> None:
        """Renew until `stop`; with `give_up` only until a token ends and no new one is to be had."""
        issued = issued or self._renew()
        began = _now()
        while not self._stopping.is_set():
            due = began + (issued.expires - began) * self._renew_after
            if (left := (due - _now()).total_seconds()) > 0:
                self._stopping.wait(min(left, _LOOK_SECONDS))
                continue
            try:
                issued, began = self._renew(), _now()
            except LocalClusterError as error:
                _LOG.warning("%s; trying again", error)
                if give_up and _now() > issued.expires:
                    raise
                self._stopping.wait(_RETRY_SECONDS)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _renew(self) -> IssuedToken:
        issued = self._cluster.issue_token(self._account)
        write_secret(self.path, issued.value)
        return issued


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
