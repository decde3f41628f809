"""The addresses of a node, and the link between it and this machine.

Standing: `claim` picks addresses that nothing on this machine uses; `connect` makes the link and the routes. All of it
hangs on one pair of interfaces of which one end is in the node's namespace, so it goes away with the node. Nothing of
this machine's firewall, forwarding or bridges is touched, and nothing here is routed to another machine.
"""

import contextlib
import ipaddress
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Final

from localcluster.errors import StartError
from localcluster.node.needs import find

_SLOTS: Final = range(100)
_LINK: Final = "10.200.{slot}.0/30"
_PODS: Final = "10.201.{slot}.0/24"
_SERVICES: Final = "10.202.{slot}.0/24"
_DNS: Final = 10


@dataclass(frozen=True, slots=True)
class Network:
    """The ranges of one node. `link` holds two addresses: this machine's, and the node's."""

    slot: int

    @property
    def link(self) -> IPv4Network:
        """The two ends."""
        return IPv4Network(_LINK.format(slot=self.slot))

    @property
    def host(self) -> IPv4Address:
        """This machine as the node and its pods see it."""
        return self.link[1]

    @property
    def node(self) -> IPv4Address:
        """The node."""
        return self.link[2]

    @property
    def pods(self) -> IPv4Network:
        """The addresses of pods."""
        return IPv4Network(_PODS.format(slot=self.slot))

    @property
    def services(self) -> IPv4Network:
        """The addresses of Services."""
        return IPv4Network(_SERVICES.format(slot=self.slot))

    @property
    def api_service(self) -> IPv4Address:
        """The API server inside the cluster: the first of the Services."""
        return self.services[1]

    @property
    def dns_service(self) -> IPv4Address:
        """The cluster's DNS."""
        return self.services[_DNS]

    @property
    def ranges(self) -> tuple[IPv4Network, ...]:
        """Everything that this node takes."""
        return (self.link, self.pods, self.services)


def claim(wanted: int | None = None) -> Network:
    """Return ranges that overlap with no route of this machine; of a slot that is wanted, only those.

    Whoever calls holds a lock until the link is there, or two would claim the same.
    """
    taken = _routes()
    for slot in _SLOTS if wanted is None else (wanted,):
        network = Network(slot)
        if not any(one.overlaps(other) for one in network.ranges for other in taken):
            return network
    what = (
        "Each of the ranges for nodes" if wanted is None else f"The range {Network(wanted).pods} of this cluster's pods"
    )
    raise StartError(f"{what} overlaps with a route of this machine (`ip route`): stop the clusters that use them.")


def connect(network: Network, interface: str, node_pid: int) -> None:
    """Link this machine with the namespace of a process, and route its pods and Services there."""
    peer = ("peer", "name", "eth0", "netns", str(node_pid))
    _ip("link", "add", interface, "type", "veth", *peer)
    _ip("address", "add", f"{network.host}/{network.link.prefixlen}", "dev", interface)
    _ip("link", "set", interface, "up")
    inside = ("--target", str(node_pid), "--net")
    _ip("link", "set", "lo", "up", inside=inside)
    _ip("address", "add", f"{network.node}/{network.link.prefixlen}", "dev", "eth0", inside=inside)
    _ip("link", "set", "eth0", "up", inside=inside)
    # Service addresses are nowhere: without a route the kernel would refuse them before kube-proxy's rules are asked.
    _ip("route", "add", "default", "via", str(network.host), inside=inside)
    for range_ in (network.pods, network.services):
        _ip("route", "add", str(range_), "via", str(network.node), "dev", interface)


def disconnect(interface: str) -> None:
    """Remove a link that is left; nothing happens where there is none."""
    # The kernel removes it by itself a moment after the node's last process is gone, perhaps between two lines here.
    entry = Path("/sys/class/net", interface)
    while entry.exists():
        with contextlib.suppress(StartError):
            _ip("link", "delete", interface)


def _routes() -> list[IPv4Network]:
    entries = json.loads(_ip("-json", "-4", "route", "show", "table", "all"))
    texts: Iterable[str] = (entry["dst"] for entry in entries if entry["dst"] != "default")
    return [ipaddress.IPv4Network(text) for text in texts]


def _ip(*arguments: str, inside: tuple[str, ...] = ()) -> str:
    command = [str(find("nsenter")), *inside, "--"] if inside else []
    answer = subprocess.run(  # noqa: S603 - ip of this system, with our own arguments
        [*command, str(find("ip")), *arguments], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise StartError(f"`ip {' '.join(arguments)}` failed: {answer.stderr.strip()}")
    return answer.stdout
