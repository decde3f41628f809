"""The verbs of the console, on loopback and in the cluster: what each takes, and its help. Standing: under `table`.

Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated

import typer

from bailiwick_cli.options import (
    INSTALLATION,
    ClusterNameOption,
    Flags,
    InstallationOption,
    PasskeyOriginOption,
    ReviewersInstallationOption,
)

RegistrarKeysOption = Annotated[
    str | None,
    typer.Option(
        "--registrar-keys",
        metavar="FILE",
        help="Public keys of the registrars of reviewers, to say of signatures if these enrolled the key.",
    ),
]
RegistrarQuorumOption = Annotated[
    int, typer.Option("--registrar-quorum", metavar="N", min=1, help="How many registrars must have signed.")
]


@dataclass(frozen=True, kw_only=True)
class ConsoleFlags(Flags):
    """Review approval requests in a browser.

    Serves a page on this machine, to one browser, until you end it with Ctrl-C. It also shows who can do what and, with
    --records, what was decided. You act on it as the user of your kubeconfig. Needs the extra `console` of the package.

    Examples:
      kubectl bailiwick console -n crm
      kubectl bailiwick console -A --no-browser
      kubectl bailiwick console -n crm --records logs/
    """

    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Show all namespaces.")] = False
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the URL, and open no browser.")] = False
    records: Annotated[
        list[str] | None,
        typer.Option(
            "--records",
            metavar="PATH",
            help="A record file or a folder of them, to show decisions and uses. Repeatable. No other file is read.",
        ),
    ] = None
    witness_key: Annotated[
        list[str] | None,
        typer.Option(
            "--witness-key",
            metavar="KEY|FILE",
            help="With --records: the public key of the witness that you trust, or a file of them. Repeatable.",
        ),
    ] = None
    registrar_keys: RegistrarKeysOption = None
    registrar_quorum: RegistrarQuorumOption = 1
    passkey_origin: PasskeyOriginOption = None
    reviewers_installation: ReviewersInstallationOption = None
    installation: InstallationOption = INSTALLATION
    cluster_name: ClusterNameOption = None


@dataclass(frozen=True, kw_only=True)
class ServeConsoleFlags(Flags):
    r"""Serve the console to many people, from a pod.

    People log in by OpenID Connect. The chart runs this command. It has no rights of its own: what a person does is
    sent to the API server with the id token of that person, which the API server has to accept. --namespace is the one
    that people see first. SIGTERM ends the command; then everybody has to log in again. Needs the extra `console` of
    the package.

    Examples:
      kubectl bailiwick serve-console --public-url https://bailiwick.example.com --issuer https://login.example.com \
          --client-id bailiwick --tls-certificate-file tls.crt --tls-key-file tls.key
    """

    public_url: Annotated[
        str, typer.Option("--public-url", metavar="URL", help="The https URL by which people reach the console.")
    ]
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="The OpenID Connect issuer of the people.")]
    client_id: Annotated[str, typer.Option("--client-id", metavar="ID", help="The console's client at the issuer.")]
    tls_certificate_file: Annotated[
        str, typer.Option("--tls-certificate-file", metavar="FILE", help="Certificate to serve with. Read again.")
    ]
    tls_key_file: Annotated[str, typer.Option("--tls-key-file", metavar="FILE", help="Key of the certificate.")]
    client_secret_file: Annotated[
        str | None,
        typer.Option("--client-secret-file", metavar="FILE", help="Secret of the client. Default: a public client."),
    ] = None
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", metavar="SCOPE", help="Repeatable. Default: openid, profile and email."),
    ] = None
    max_age: Annotated[
        int | None,
        typer.Option(
            "--max-age",
            min=1,
            metavar="SECONDS",
            help="Maximum age of a login at the issuer. Default: no limit.",
        ),
    ] = None
    issuer_ca_file: Annotated[
        str | None,
        typer.Option("--issuer-ca-file", metavar="FILE", help="CA certificates of the issuer. Default: the system's."),
    ] = None
    api_server: Annotated[
        str | None,
        typer.Option("--api-server", metavar="URL", help="The API server. Default: that of the pod's cluster."),
    ] = None
    api_server_ca_file: Annotated[
        str | None,
        typer.Option("--api-server-ca-file", metavar="FILE", help="Its CA certificates. Default: the system's."),
    ] = None
    listen_address: Annotated[
        str, typer.Option("--listen-address", metavar="ADDRESS", help="Address to listen on, such as ::.")
    ] = "0.0.0.0"  # noqa: S104 - a pod's
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the pages, over TLS.")] = 8443
    health_port: Annotated[int, typer.Option("--health-port", min=1, max=65535, help="Port of the probes.")] = 8080
    passkey_rp_id: Annotated[
        str | None,
        typer.Option(
            "--passkey-rp-id",
            metavar="HOST",
            help="The host that passkeys are registered for, or a domain above it. Default: the host of --public-url.",
        ),
    ] = None
    registrar_keys: RegistrarKeysOption = None
    registrar_quorum: RegistrarQuorumOption = 1
    passkey_origin: PasskeyOriginOption = None
    reviewers_installation: ReviewersInstallationOption = None
    installation: InstallationOption = INSTALLATION
    cluster_name: ClusterNameOption = None
