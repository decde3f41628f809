"""The definitions of other projects' kinds, as those projects publish them: from pinned Go modules, by their checksums.

Standing: for tests that want objects of such kinds judged by a real API server. Nothing is compiled, and what was
fetched once lies in Go's own cache.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

from localcluster import toolchain
from localcluster.errors import BuildError
from localcluster.pins import PINS, Module
from localcluster.progress import Terminal

CERT_MANAGER: Final = "github.com/cert-manager/cert-manager"
PROMETHEUS_OPERATOR: Final = "github.com/prometheus-operator/prometheus-operator"
GATEWAY_API: Final = "sigs.k8s.io/gateway-api"
_MODULE: Final = Module("foreign", {}, {})
# Of each project: its Go module, where in it the definitions lie, and which of them are wanted.
_FOLDERS: Final = {
    CERT_MANAGER: ("deploy/crds", r"cert-manager\.io_(certificates|issuers)\.yaml"),
    PROMETHEUS_OPERATOR: (
        "example/prometheus-operator-crd",
        r"monitoring\.coreos\.com_(servicemonitors|podmonitors|prometheusrules)\.yaml",
    ),
    GATEWAY_API: ("config/crd/standard", r"gateway\.networking\.k8s\.io_(httproutes|grpcroutes)\.yaml"),
}
_SECONDS: Final = 300


def definitions(*projects: str) -> list[Path]:
    """Return the files of these projects, or of all, one definition each.

    Raises `ToolchainError` without a Go, `BuildError` without the modules.
    """
    go = toolchain.find(_MODULE.go_version(), Terminal())
    answer = subprocess.run(  # noqa: S603 - the go that was found
        [go.path, "mod", "download", "-json", *(projects or _FOLDERS)],
        cwd=PINS / _MODULE.name,
        env=toolchain.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if answer.returncode != 0:
        words = f"{answer.stdout}{answer.stderr}".strip()[-1000:]
        msg = f"The definitions of other projects could not be fetched as Go modules: {words}"
        raise BuildError(msg)
    found = []
    # One object after the other, not a list of them.
    decoder, text = json.JSONDecoder(), answer.stdout.strip()
    while text:
        module, end = decoder.raw_decode(text)
        text = text[end:].lstrip()
        folder, wanted = _FOLDERS[module["Path"]]
        found += [path for path in sorted((Path(module["Dir"]) / folder).iterdir()) if re.fullmatch(wanted, path.name)]
    return found
