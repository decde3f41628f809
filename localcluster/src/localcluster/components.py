"""The command lines of etcd, the API server and the controller manager.

Standing: turns addresses and files into arguments, pure but for the chosen version of Kubernetes. Everything listens on
loopback and under TLS, and etcd takes no client without a certificate of its own authority, so nobody else on this
machine can write around the API server.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from localcluster import versions
from localcluster.files import write_secret
from localcluster.kubeconfig import for_server
from localcluster.people import Person, new_tokens, token_file, tokens_in
from localcluster.pki import SERVING_NAMES, Authority, Pair, signing_key

LOOPBACK: Final = "127.0.0.1"
SERVICE_RANGE: Final = "10.96.0.0/16"
# The first address of the range is the API server's inside the cluster.
SERVICE_ADDRESS: Final = "10.96.0.1"
# The wait of etcd before it makes itself the leader; one without others to wait for does not wait so long. A tenth of
# these would keep it ticking: a store that nobody asks would take a hundredth of a core, and a run of tests has ten.
_ELECTION: Final = ("--heartbeat-interval", "100", "--election-timeout", "1000")
# Go collects when its heap has doubled, which takes a third of an API server's time. At five times it takes little, and
# a gigabyte: so at 768 MiB it collects in any case.
GO_ENVIRONMENT: Final = {"GOGC": "400", "GOMEMLIMIT": "768MiB"}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where things listen."""

    apiserver: int
    etcd: int
    etcd_peer: int


@dataclass(frozen=True, slots=True)
class Files:
    """What the processes read, all under the folder of the cluster."""

    folder: Path
    authority: Path
    etcd_authority: Path
    apiserver: Pair
    etcd: Pair
    etcd_client: Pair
    controller_manager: Pair
    signing_key: Path
    token_file: Path
    tokens: dict[str, str]

    def log(self, name: str) -> Path:
        """Return the log file of a process."""
        return self.folder / "logs" / f"{name}.log"


def prepare(folder: Path, people: tuple[Person, ...], extra_names: tuple[str, ...] = ()) -> Files:
    """Make what is missing in the folder; keys and tokens that are there stay."""
    pki = folder / "pki"
    authority = Authority.at(pki, "ca")
    etcd_authority = Authority.at(pki, "etcd-ca")
    table = folder / "tokens.csv"
    known = tokens_in(table.read_text(encoding="utf-8")) if table.exists() else {}
    tokens = new_tokens(people) | known
    write_secret(table, token_file(people, tokens))
    (folder / "logs").mkdir(exist_ok=True)
    names = (*SERVING_NAMES, LOOPBACK, SERVICE_ADDRESS, *extra_names)
    return Files(
        folder=folder,
        authority=authority.certificate,
        etcd_authority=etcd_authority.certificate,
        apiserver=authority.serving("apiserver", names),
        etcd=etcd_authority.serving("etcd", ("localhost", LOOPBACK)),
        etcd_client=etcd_authority.client("etcd-client", "kube-apiserver"),
        controller_manager=authority.client("controller-manager", "system:kube-controller-manager"),
        signing_key=signing_key(pki / "service-accounts.key"),
        token_file=table,
        tokens={person.name: tokens[person.name] for person in people},
    )


def etcd(files: Files, ports: Ports) -> list[str]:
    """One member. No fsync: the data of a test may die with the machine, and each write would cost it."""
    client, peer = f"https://{LOOPBACK}:{ports.etcd}", f"https://{LOOPBACK}:{ports.etcd_peer}"
    return [
        *("--name", "test", "--data-dir", str(files.folder / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"test={peer}"),
        *("--cert-file", str(files.etcd.certificate), "--key-file", str(files.etcd.key)),
        *("--client-cert-auth", "--trusted-ca-file", str(files.etcd_authority)),
        *("--peer-cert-file", str(files.etcd.certificate), "--peer-key-file", str(files.etcd.key)),
        *("--peer-client-cert-auth", "--peer-trusted-ca-file", str(files.etcd_authority)),
        *("--log-level", "warn"),
        *_ELECTION,
    ]


def apiserver(files: Files, ports: Ports, authorization: Path | None = None) -> list[str]:
    """As kubeadm has it, but for static tokens, which are the test people. `authorization`: a file of authorizers."""
    authorizers = ("--authorization-mode", "Node,RBAC")
    if authorization is not None:
        # The two exclude each other.
        authorizers = ("--authorization-config", str(authorization))
    return [
        *("--bind-address", LOOPBACK, "--advertise-address", LOOPBACK, "--secure-port", str(ports.apiserver)),
        # Nobody in this cluster reaches the server by the `kubernetes` service, and loopback may not be
        # one of its endpoints: without this the server complains about it every ten seconds.
        *("--endpoint-reconciler-type", "none"),
        *("--tls-cert-file", str(files.apiserver.certificate), "--tls-private-key-file", str(files.apiserver.key)),
        *("--client-ca-file", str(files.authority), "--token-auth-file", str(files.token_file)),
        *("--etcd-servers", f"https://{LOOPBACK}:{ports.etcd}", "--etcd-cafile", str(files.etcd_authority)),
        *("--etcd-certfile", str(files.etcd_client.certificate), "--etcd-keyfile", str(files.etcd_client.key)),
        *authorizers,
        *("--enable-admission-plugins", "NodeRestriction"),
        *("--service-cluster-ip-range", SERVICE_RANGE),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
        *("--service-account-key-file", str(files.signing_key)),
        *("--service-account-signing-key-file", str(files.signing_key)),
        *_emulation(),
    ]


def _emulation() -> tuple[str, ...]:
    """Return the flag that has an API server behave as one of an earlier minor version, where that is chosen."""
    version = versions.chosen()
    return (f"--emulated-version={version.minor}",) if version.emulated else ()


def controller_manager(files: Files, ports: Ports) -> list[str]:
    """It serves nothing itself (`--secure-port 0`): what it does is seen in the API."""
    login = for_server(f"https://{LOOPBACK}:{ports.apiserver}", files.authority, "local").with_user(
        "controller-manager",
        {
            "client-certificate": str(files.controller_manager.certificate),
            "client-key": str(files.controller_manager.key),
        },
    )
    path = str(login.write(files.folder / "controller-manager.kubeconfig"))
    return [
        *("--kubeconfig", path, "--authentication-kubeconfig", path, "--authorization-kubeconfig", path),
        *("--secure-port", "0", "--leader-elect=false", "--use-service-account-credentials"),
        *("--service-account-private-key-file", str(files.signing_key), "--root-ca-file", str(files.authority)),
        # At its usual pace of 20 a second it takes five seconds to make accounts for its own controllers.
        *("--kube-api-qps", "1000", "--kube-api-burst", "2000"),
    ]
