"""Calls through a real Envoy, without a check, asking a server that allows everything, or asking Bailiwick.

Standing: starts them for `enforcement`, with the configuration that ships (`examples/enforcement/envoy`). Holds: only
addresses, places of files and what is served are put in; Envoy serves the call itself, so that there is no upstream to
measure.
"""

from typing import Any

import yaml

from benchmarks.rig.servers import HOST, MissingError, Servers, await_answer
from benchmarks.targets.points import TENANT, AskedPdp
from localcluster.errors import LocalClusterError
from localcluster.ports import free_ports
from localcluster.process import RunningProcess
from proxies import envoy


def by_http(servers: Servers, asked: AskedPdp, port: int) -> tuple[RunningProcess, int]:
    """Start an Envoy that asks over HTTP, at this port."""
    return _start(servers, f"Envoy by HTTP {port}", _configuration("envoy.yaml", asked, port, 443))


def by_grpc(servers: Servers, asked: AskedPdp, port: int) -> tuple[RunningProcess, int]:
    """Start an Envoy that asks over gRPC, at this port."""
    return _start(servers, f"Envoy by gRPC {port}", _configuration("envoy-grpc.yaml", asked, port, 8444))


def by_bare(servers: Servers, asked: AskedPdp, port: int) -> tuple[RunningProcess, int]:
    """Start an Envoy that asks the server that allows everything, in the clear."""
    made = _configuration("envoy.yaml", asked, port, 443)
    for cluster in made["static_resources"]["clusters"]:
        cluster.pop("transport_socket", None)
    service = _filters(made)[0]["typed_config"]["http_service"]
    service["server_uri"]["uri"] = "http://bailiwick"
    return _start(servers, "Envoy by allow-all", made)


def asking_nobody(servers: Servers, asked: AskedPdp) -> tuple[RunningProcess, int]:
    """Start an Envoy without the filter."""
    made = _configuration("envoy.yaml", asked, 1, 443)
    del _filters(made)[0]
    return _start(servers, "Envoy alone", made)


def _configuration(name: str, asked: AskedPdp, port: int, shipped: int) -> dict[str, Any]:
    # No upstream: below, Envoy is told to answer itself.
    places = envoy.Places(0, 1, port, asked.proxy.certificate, asked.proxy.key, asked.authority)
    text = envoy.configuration(name, places, shipped, {"crm/crm-api": TENANT})
    made: dict[str, Any] = yaml.safe_load(text)
    # After its filters.
    (route,) = _manager(made)["route_config"]["virtual_hosts"][0]["routes"]
    route.pop("route")
    route["direct_response"] = {"status": 200, "body": {"inline_string": "true"}}
    return made


def _start(servers: Servers, name: str, configuration: dict[str, Any]) -> tuple[RunningProcess, int]:
    try:
        program = envoy.ensure()
    except LocalClusterError as error:
        raise MissingError(str(error)) from error
    (port,) = free_ports(1)
    (listener,) = configuration["static_resources"]["listeners"]
    listener["address"]["socket_address"] = {"address": HOST, "port_value": port}
    # Whether it listens is not to be asked through its filters, which deny: its administration knows.
    (admin,) = free_ports(1)
    configuration["admin"] = {"address": {"socket_address": {"address": HOST, "port_value": admin}}}
    file = servers.folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    running = servers.spawn(name, envoy.command(program, file))
    await_answer(running, admin, "/ready")
    return running, port


def _manager(configuration: dict[str, Any]) -> dict[str, Any]:
    (listener,) = configuration["static_resources"]["listeners"]
    found: dict[str, Any] = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return found


def _filters(configuration: dict[str, Any]) -> list[Any]:
    found: list[Any] = _manager(configuration)["http_filters"]
    return found
