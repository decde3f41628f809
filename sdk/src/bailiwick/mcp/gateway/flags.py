"""The flags of the gateway, and what is checked of them before anything starts.

Holds: every flag has a help text; a flag that would let a token leave this machine in the clear is an error.
"""

import argparse
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bailiwick.credentials import TOKEN_PATH
from bailiwick.mcp.gate import WAIT_SECONDS, WAITING_CALLS
from bailiwick.questions import base_url

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_MOST_PORT: Final = 65535
_MOST_SECONDS: Final = 86400.0


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the settings. Exits with 2 and a sentence where they are wrong."""
    flags = _parser()
    found = flags.parse_args(arguments)
    try:
        _check(found)
    except ValueError as error:
        flags.error(str(error))
    return found


def _parser() -> argparse.ArgumentParser:
    flags = argparse.ArgumentParser(
        prog="python -m bailiwick.mcp.gateway",
        usage="%(prog)s --upstream URL --pdp URL --endpoint NAMESPACE/NAME [FLAGS]",
        description=(
            "A gateway in front of an MCP server. It asks the decision point about each message, with the caller's own"
            " token, and passes on what is allowed. It lists only the tools that the caller may call."
        ),
        epilog="It ends on SIGTERM with 0. It ends with 1 if it cannot listen, and with 2 if a flag is wrong.",
        allow_abbrev=False,
    )
    serving = flags.add_argument_group("serving")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serving.add_argument(
        "--port",
        type=_port,
        default=8000,
        help="port of /mcp, /healthz and /readyz; 0 picks a free port (default: %(default)s)",
    )
    serving.add_argument(
        "--allowed-host",
        action="append",
        metavar="HOST",
        help="name that callers use for this gateway; repeatable; with it, a request for any other name is refused",
    )
    serving.add_argument("--tls-cert-file", type=Path, metavar="FILE", help="certificate chain, PEM")
    serving.add_argument("--tls-key-file", type=Path, metavar="FILE", help="private key, PEM")
    serving.add_argument(
        "--plaintext",
        action="store_true",
        help="allow tokens to leave this machine without TLS, where a mesh encrypts them",
    )
    serving.add_argument(
        "--drain-seconds",
        type=_positive,
        default=10.0,
        metavar="SECONDS",
        help="let calls finish for this long after SIGTERM (default: %(default)s)",
    )
    serving.add_argument(
        "--max-body-bytes",
        type=_count,
        default=512 * 1024,
        metavar="BYTES",
        help="largest request; a larger one is answered 413 (default: %(default)s)",
    )
    serving.add_argument(
        "--max-calls",
        type=_count,
        default=256,
        metavar="NUMBER",
        help="calls at a time; one more is answered 503; no caller has more than are free (default: %(default)s)",
    )
    serving.add_argument(
        "--max-connections",
        type=_count,
        default=512,
        metavar="NUMBER",
        help="connections at a time; the one that waits longest for its client makes room (default: %(default)s)",
    )
    approving = flags.add_argument_group("calls that wait for an approval")
    approving.add_argument(
        "--console-url",
        metavar="URL",
        help="public URL of the console, for links to what is to be approved (default: no links)",
    )
    approving.add_argument(
        "--approval-wait-seconds",
        type=_positive,
        default=WAIT_SECONDS,
        metavar="SECONDS",
        help="wait for an approval for this long, before the client repeats its call (default: %(default)s)",
    )
    approving.add_argument(
        "--waiting-calls",
        type=_count,
        default=WAITING_CALLS,
        metavar="NUMBER",
        help="calls that wait at a time, apart from --max-calls; no caller has more than are free"
        " (default: %(default)s)",
    )
    upstream = flags.add_argument_group("the MCP server")
    upstream.add_argument("--upstream", required=True, metavar="URL", help="the MCP server, over HTTP")
    upstream.add_argument(
        "--upstream-token-file",
        type=Path,
        metavar="FILE",
        help="token that the gateway shows to the MCP server, read again for each call (default: none)",
    )
    upstream.add_argument(
        "--upstream-ca",
        type=Path,
        metavar="FILE",
        help="CA certificates of the MCP server, PEM (default: the system's)",
    )
    upstream.add_argument(
        "--upstream-seconds",
        type=_positive,
        default=300.0,
        metavar="SECONDS",
        help="longest wait for an answer of the MCP server (default: %(default)s)",
    )
    deciding = flags.add_argument_group("the decision point")
    deciding.add_argument("--pdp", required=True, metavar="URL", help="the decision point")
    deciding.add_argument("--endpoint", required=True, metavar="NAMESPACE/NAME", help="the endpoint that policies name")
    deciding.add_argument(
        "--token-file",
        type=Path,
        default=TOKEN_PATH,
        metavar="FILE",
        help="token that the gateway shows to the decision point, read again for each call (default: %(default)s)",
    )
    deciding.add_argument(
        "--ca", type=Path, metavar="FILE", help="CA certificates of the decision point, PEM (default: the system's)"
    )
    return flags


def _check(flags: argparse.Namespace) -> None:
    if (flags.tls_cert_file is None) != (flags.tls_key_file is None):
        raise ValueError("--tls-cert-file and --tls-key-file need each other")
    if flags.tls_cert_file is None and flags.host not in _LOOPBACK and not flags.plaintext:
        raise ValueError(
            f"--host {flags.host} would receive tokens in the clear: give --tls-cert-file and --tls-key-file,"
            " or --plaintext where a mesh encrypts them"
        )
    try:
        base_url(flags.pdp, flags.endpoint, plaintext=flags.plaintext)
    except ValueError as error:
        raise ValueError(str(error).replace("plaintext=True", "--plaintext")) from error
    parts = urllib.parse.urlsplit(flags.upstream)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.fragment or parts.username:
        raise ValueError(f"--upstream {flags.upstream!r} is no URL of an MCP server: http[s]://host[:port]/path")
    if flags.console_url is not None:
        _check_console(flags.console_url)
    clear = parts.scheme == "http" and parts.hostname not in _LOOPBACK and not flags.plaintext
    if clear and flags.upstream_token_file is not None:
        raise ValueError("--upstream-token-file would be sent in the clear: use https:// for --upstream")


def _check_console(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    plain = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or plain) or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"--console-url {url!r} is no URL of a console: https://host[:port]")


def _port(text: str) -> int:
    return _whole(text, range(_MOST_PORT + 1), f"a port, 0 to {_MOST_PORT}")


def _count(text: str) -> int:
    return _whole(text, range(1, 2**31), "a number above 0")


def _whole(text: str, among: range, what: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) not in among:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return int(text)


def _positive(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds
