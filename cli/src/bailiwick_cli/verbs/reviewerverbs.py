"""The verbs of `reviewers`, on the keys that reviewers sign with: what each takes, and its help.

Standing: under `table`. Holds: this is on the way of `--help`, so it imports nothing but typer.
"""

from dataclasses import dataclass
from typing import Annotated, Final

import typer

from bailiwick_cli.options import INSTALLATION, Flags, InstallationOption, LogOutput, ReviewersInstallationOption

UnsignedOption = Annotated[
    bool,
    typer.Option("--unsigned", help="Change a file although no signature fits its lines, after you have read them."),
]
RegistrarKeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--registrar-key",
        metavar="FILE",
        help="Public keys of registrars that you trust: a file that they did not sign is refused. Repeatable.",
    ),
]
RegistrarQuorumOption = Annotated[
    int | None,
    typer.Option(
        "--registrar-quorum",
        metavar="N",
        min=1,
        help="How many registrars must have signed the file, as in the cluster. Required with several keys.",
    ),
]

_MANIFEST: Final = typer.Argument(metavar="MANIFEST", help="File of the ConfigMap bailiwick-reviewers, as in Git.")


@dataclass(frozen=True, kw_only=True)
class ReviewersRequestFlags(Flags):
    r"""Print what a registrar needs to enrol your key.

    Prints the line of your key for the reviewers' file, and a proof that you hold the key: a signature by
    `ssh-keygen`, which may ask for a touch or a PIN. Send both to a registrar. A step with `signature: Required` needs
    a key that verifies its user, such as one of `ssh-keygen -t ed25519-sk -O verify-required`. For a passkey, use the
    console.

    Examples:
      kubectl bailiwick reviewers request --key ~/.ssh/id_ed25519_sk > carol.txt
      kubectl bailiwick reviewers request --key ~/.ssh/id_ed25519_sk.pub --reviewer oidc:carol > carol.txt
    """

    key: Annotated[
        str, typer.Option("--key", metavar="FILE", help="Your SSH key, or its public key if ssh-agent holds it.")
    ]
    reviewer: Annotated[
        str | None,
        typer.Option(
            "--reviewer", metavar="NAME", help="Your name at the API server. Default: the API server is asked."
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class ReviewersAddFlags(Flags):
    r"""Add the keys of people to the reviewers' file.

    Verifies the proof of each request, adds its line, raises the serial and drops the signatures of registrars, which
    no longer fit. Compare each fingerprint with the person before you sign. The first request makes the file. Anybody
    can write lines and sign them: a file that has keys is changed only if your registrars signed it (--registrar-key),
    or with --unsigned, after you have read each line. So sign after each change.

    Examples:
      kubectl bailiwick reviewers add reviewers.yaml carol.txt --expires 2027-03-01 --reviewers-installation production
      kubectl bailiwick reviewers add reviewers.yaml dave.txt erin.txt --registrar-key registrars.pub
      kubectl bailiwick reviewers add reviewers.yaml --expires 2028-03-01 --registrar-key registrars.pub
    """

    manifest: Annotated[str, _MANIFEST]
    requests: Annotated[
        list[str] | None,
        typer.Argument(metavar="REQUEST...", help="What `reviewers request` or the console printed. - is stdin."),
    ] = None
    valid_after: Annotated[
        str | None,
        typer.Option("--valid-after", metavar="DATE", help="From when the keys count (UTC). Default: at once."),
    ] = None
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="TIME", help="When the whole file ends. A new file needs it."),
    ] = None
    unsigned: UnsignedOption = False
    registrar_key: RegistrarKeyOption = None
    registrar_quorum: RegistrarQuorumOption = None
    reviewers_installation: Annotated[
        str | None,
        typer.Option(
            "--reviewers-installation",
            metavar="NAME",
            help="Where alone the file counts, as in the chart's reviewers.installation. A new file needs it.",
        ),
    ] = None
    installation: InstallationOption = INSTALLATION


@dataclass(frozen=True, kw_only=True)
class ReviewersRemoveFlags(Flags):
    r"""Remove a key from the reviewers' file, or end it later.

    Raises the serial and drops the signatures of registrars, which no longer fit. Approvals by a removed key that are
    not used yet stop with it. As `reviewers add`, it takes a file that your registrars signed, or any with --unsigned.

    Examples:
      kubectl bailiwick reviewers remove reviewers.yaml SHA256:0Yk1... --registrar-key registrars.pub
      kubectl bailiwick reviewers remove reviewers.yaml SHA256:0Yk1... --valid-before 2026-12-24 --unsigned
    """

    manifest: Annotated[str, _MANIFEST]
    keys: Annotated[list[str], typer.Argument(metavar="FINGERPRINT...", help="As `reviewers check` prints them.")]
    valid_before: Annotated[
        str | None,
        typer.Option("--valid-before", metavar="DATE", help="Keep the line, and end the key then (UTC)."),
    ] = None
    unsigned: UnsignedOption = False
    registrar_key: RegistrarKeyOption = None
    registrar_quorum: RegistrarQuorumOption = None


@dataclass(frozen=True, kw_only=True)
class ReviewersSignFlags(Flags):
    """Sign the reviewers' file as a registrar.

    Shows whose keys the file has and which lines came and went since the one that your registrars signed last. The
    first file has none before it: say --first. Then it asks, has `ssh-keygen` sign all of the file, and adds the
    signature to the manifest. Signatures that do not fit the file are dropped. Commit the manifest when enough
    registrars have signed.

    Examples:
      kubectl bailiwick reviewers sign reviewers.yaml --key ~/.ssh/registrar --first
      kubectl bailiwick reviewers sign reviewers.yaml --key ~/.ssh/registrar --since last.yaml --registrar-key all.pub
    """

    manifest: Annotated[str, _MANIFEST]
    key: Annotated[
        str, typer.Option("--key", metavar="FILE", help="Your SSH key, or its public key if ssh-agent holds it.")
    ]
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="FILE",
            help="The manifest that was signed last, to show what changed. Needs --registrar-key.",
        ),
    ] = None
    first: Annotated[
        bool, typer.Option("--first", help="No manifest was signed before: you have read each line of this one.")
    ] = False
    registrar_key: RegistrarKeyOption = None
    registrar_quorum: RegistrarQuorumOption = None
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False


@dataclass(frozen=True, kw_only=True)
class ReviewersCheckFlags(Flags):
    """Verify a reviewers' file by the keys of the registrars that you trust.

    Needs no cluster. Says of each person which keys count, and until when. Exits 0 if the file counts, and 1 if it does
    not.

    Examples:
      kubectl bailiwick reviewers check reviewers.yaml --registrar-key registrars.pub
      kubectl bailiwick reviewers check reviewers.yaml --registrar-key registrars.pub --registrar-quorum 2 -o json
    """

    manifest: Annotated[str, _MANIFEST]
    registrar_key: Annotated[
        list[str],
        typer.Option("--registrar-key", metavar="FILE", help="Public keys of registrars that you trust. Repeatable."),
    ]
    registrar_quorum: RegistrarQuorumOption = None
    reviewers_installation: ReviewersInstallationOption = None
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="The time to judge by, in RFC 3339. Default: now.")
    ] = None
    output: Annotated[LogOutput, typer.Option("--output", "-o", help="Output format.")] = LogOutput.TABLE
