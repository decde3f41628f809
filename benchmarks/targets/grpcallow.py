"""The floor over gRPC: says OK to any `CheckRequest` of Envoy's, by the library that the decision point uses.

Standing: a process of its own, `python -m benchmarks.targets.grpcallow`. Holds: it reads each question as the decision
point does, and takes connections of clients with a certificate alone.
"""

import argparse
import asyncio
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bailiwick_webhook.grpc import messages
from benchmarks.targets.bare import HOST


async def _serve(port: int, certificate: bytes, key: bytes, authorities: bytes) -> None:
    answer = messages.CheckResponse()
    answer.status.code = messages.OK
    answer.ok_response.SetInParent()

    async def check(_asked: Any, _context: Any) -> Any:  # noqa: ANN401 - messages made at run time
        return answer

    handler = grpc.unary_unary_rpc_method_handler(
        check, messages.CheckRequest.FromString, messages.CheckResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(messages.SERVICE, {messages.METHOD: handler}),)
    )
    credentials = grpc.ssl_server_credentials([(key, certificate)], authorities, require_client_auth=True)
    server.add_secure_port(f"{HOST}:{port}", credentials)
    await server.start()
    await asyncio.Event().wait()


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", nargs=3, type=Path, metavar=("CERTIFICATE", "KEY", "AUTHORITIES"), required=True)
    options = parser.parse_args()
    uvloop.run(_serve(options.port, *(file.read_bytes() for file in options.tls)))


if __name__ == "__main__":
    main()
