"""A running Bailiwick, and one decision point of it that serves TLS, which the API server asks about policies."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from demo.stack import DecisionPoint
from localcluster import process
from support.admission.registration import registered, registration
from support.certificates import self_signed
from support.namespaces import Namespaces
from support.pdp.fixtures import pdp, tenant, tenants
from support.pdp.processes import Bailiwick

__all__ = ["pdp", "tenant", "tenants"]

ISSUERS: Final = """\
issuers:
- {name: corp, issuer: "https://corp.example", jwksFile: jwks.json, claims: {kubernetesUsername: "oidc:{sub}"}}
- {name: partners, issuer: "https://partners.example", jwksFile: jwks.json}
"""


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What it serves with; the certificate is its own authority."""
    return self_signed(tmp_path_factory.mktemp("admission"))


@pytest.fixture(scope="session")
def flags(certificate: tuple[Path, Path]) -> tuple[str, ...]:
    """How a decision point is started that the API server can ask."""
    folder = certificate[0].parent
    (folder / "jwks.json").write_text('{"keys": []}')
    (folder / "issuers.yaml").write_text(ISSUERS)
    return (
        f"--tls-cert-file={certificate[0]}",
        f"--tls-key-file={certificate[1]}",
        f"--issuers={folder / 'issuers.yaml'}",
    )


@pytest.fixture(scope="session")
def point(pdp: Bailiwick, flags: tuple[str, ...]) -> Iterator[DecisionPoint]:
    """The decision point."""
    point = pdp.start_point(*flags)
    yield point
    process.stop([point.process.id])


@pytest.fixture(scope="module")
def reviewed(pdp: Bailiwick, point: DecisionPoint, certificate: tuple[Path, Path]) -> Iterator[str]:
    """A namespace whose policies are reviewed."""
    namespaces = Namespaces(pdp.callers.admin)
    namespace = namespaces.make("reviewed")
    raw = registration(point.admission_port, certificate[0], namespace)
    with registered(pdp.callers.admin, raw, namespace):
        yield namespace
    namespaces.clean()
