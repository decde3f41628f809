"""The gateway's process: from flags to a server. Returns or exits with what `--help` says."""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence

from bailiwick.aio import AsyncBailiwick
from bailiwick.credentials import ServiceAccountFile, TrustFile
from bailiwick.mcp.gate import McpGate
from bailiwick.mcp.gateway.bounds import PATH, GatewayBounds
from bailiwick.mcp.gateway.flags import parse
from bailiwick.mcp.gateway.listener import (
    CertificateFiles,
    ListenError,
    add_health,
    end_well,
    listen,
    serve,
)
from bailiwick.mcp.gateway.upstream import Upstream, gateway

_LOG = logging.getLogger("bailiwick.mcp.gateway")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal ends it."""
    flags = parse(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _LOG.setLevel(logging.INFO)
    own = ServiceAccountFile(flags.token_file)
    shown = None if flags.upstream_token_file is None else ServiceAccountFile(flags.upstream_token_file)
    pdp = AsyncBailiwick(flags.pdp, endpoint=flags.endpoint, token=own, ca=flags.ca, plaintext=flags.plaintext)
    upstream = Upstream(flags.upstream, token=shown, ca=flags.upstream_ca, seconds=flags.upstream_seconds)
    namespace = flags.endpoint.partition("/")[0]
    page = (
        None
        if flags.console_url is None
        else f"{flags.console_url.rstrip('/')}/grants/{namespace}/{{grant}}?uid={{uid}}"
    )
    gate = McpGate(
        pdp,
        approve_with=f"kubectl bailiwick approve {{grant}} -n {namespace}",
        approve_at=page,
        wait_seconds=flags.approval_wait_seconds,
        waiting_calls=flags.waiting_calls,
    )
    server = gateway(upstream, gate)
    needs: dict[str, Callable[[], object]] = {"--token-file": own}
    needs |= {} if shown is None else {"--upstream-token-file": shown}
    for name, file in (("--ca", flags.ca), ("--upstream-ca", flags.upstream_ca)):
        if file is not None:
            needs[name] = TrustFile(file)
    add_health(server, needs)
    bounds = GatewayBounds(
        body_bytes=flags.max_body_bytes,
        calls=flags.max_calls,
        connections=flags.max_connections,
        drain_seconds=flags.drain_seconds,
        waiting=flags.waiting_calls,
    )
    end_well()
    try:
        certificate = None if flags.tls_cert_file is None else CertificateFiles(flags.tls_cert_file, flags.tls_key_file)
        listening = listen(flags.host, flags.port)
    except ListenError as error:
        print(f"bailiwick.mcp.gateway: {error}", file=sys.stderr)  # noqa: T201 - before there is anybody else to tell
        return 1
    scheme = "http" if certificate is None else "https"
    host, port = listening.getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _LOG.info("listening on %s://%s%s, for %s before %s", scheme, address, PATH, flags.endpoint, flags.upstream)
    serving = serve(
        server,
        listening,
        allowed_hosts=flags.allowed_host,
        certificate=certificate,
        bounds=bounds,
        ending=gate.end_waiting,
    )
    asyncio.run(serving)
    return 0
