"""Enforcers: the service accounts and client certificates that can request decisions for an endpoint.

Standing: below `endpointpolicy`. Holds: the username of a certificate has a form that no username of an API server has,
so that neither can be taken for the other.
"""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from bailiwick_api.kinds import cel
from bailiwick_api.kinds.meta import Model, ObjectName
from bailiwick_api.serviceaccounts import ServiceAccountName

SPIFFE_PATTERN: Final = r"^spiffe://[a-z0-9._-]+(/[A-Za-z0-9._-]+)+$"
DNS_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"

CERTIFICATE_PREFIX: Final = "bailiwick:certificate:"


class CertificateName(Model):
    """A name in a client certificate: exactly one of its subject alternative names."""

    spiffe: Annotated[str | None, Field(min_length=1, max_length=253, pattern=SPIFFE_PATTERN)] = None
    """A SPIFFE ID, for example spiffe://cluster.local/ns/gateways/sa/envoy."""
    dns: Annotated[str | None, Field(min_length=1, max_length=253, pattern=DNS_PATTERN)] = None
    """A DNS name, for example envoy.gateways.svc."""

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.CERTIFICATE_IS_ONE_NAME))

    @property
    def username(self) -> str:
        """The username of a client with that certificate: `bailiwick:certificate:<name>`."""
        return certificate_username(self.spiffe or self.dns or "")


def certificate_username(name: str) -> str:
    """Return the username for a name of a certificate. No API server has such usernames; DNS names have no colon."""
    return f"{CERTIFICATE_PREFIX}{name}"


class Enforcer(Model):
    """An enforcer: a service account by namespace and name, or a client with a client certificate."""

    namespace: Annotated[str | None, Field(min_length=1, max_length=63)] = None
    name: ObjectName | None = None
    certificate: CertificateName | None = None

    model_config = ConfigDict(json_schema_extra=cel.validations(cel.ENFORCER_IS_ONE_THING))

    @property
    def username(self) -> str:
        """The username with which it requests decisions."""
        if self.certificate is not None:
            return self.certificate.username
        return ServiceAccountName(self.namespace or "", self.name or "").username
