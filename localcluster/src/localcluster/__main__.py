"""The command line: `python -m localcluster ...`.

Standing: the outermost part; only here are words made into exit codes. Answers that a script may want go
to standard output, everything else to standard error.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from localcluster import build, kind
from localcluster.access import Cluster
from localcluster.clusters import DEFAULT_NAME, NamedCluster, all_names
from localcluster.errors import LocalClusterError
from localcluster.node import images, needs
from localcluster.node.node import has_node
from localcluster.node.recipes import Programs
from localcluster.process import spawn, tail
from localcluster.progress import Terminal
from localcluster.tokenrequest import Account
from localcluster.tokens import TokenFile

_DESCRIPTION: Final = """\
Run a real Kubernetes control plane (etcd, kube-apiserver, kube-controller-manager) as plain processes on this
machine. It needs neither a container engine nor root. It accepts pods but runs none. With `up --node`, as root on
Linux, it adds a node in namespaces of its own, where pods run and where Services and cluster DNS answer.
"""
_EPILOG: Final = """\
Exit codes: 0 success; 1 failure, the message says what to do; 2 usage error;
3 no container engine (kind only); 4 this machine cannot run a node, the message says what is missing.
All data is kept under $BAILIWICK_CACHE if it is set, else
$XDG_CACHE_HOME/bailiwick, else ~/.cache/bailiwick.
"""
_OK: Final = 0
_FAILED: Final = 1
_INTERRUPTED: Final = 130
_TERMINATED: Final = 143


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return _INTERRUPTED


def _build(arguments: argparse.Namespace) -> int:
    print(build.ensure())
    if arguments.node:
        for folder in Programs.ensure().folders:
            print(folder)
    return _OK


def _images(arguments: argparse.Namespace) -> int:
    progress, named = Terminal(), NamedCluster(arguments.name)
    built = images.ensure(progress, images.ALL)
    if has_node(named.folder) and named.is_up:
        with progress.step(f"Loading them into the node of cluster {named.name!r}"):
            for image in built:
                named.containerd.load(image.archive)
    for image in built:
        print(f"{image.reference} {image.digest} {image.archive}")
    return _OK


def _load(arguments: argparse.Namespace) -> int:
    containerd = NamedCluster(arguments.name).containerd
    for archive in arguments.archives:
        containerd.load(archive)
    return _OK


def _node_packages(_: argparse.Namespace) -> int:
    progress = Terminal()
    if not needs.install(progress):
        progress.say("Nothing is missing.")
    needs.require((*needs.NODE, *needs.IMAGES), what="A node with images of a checkout")
    return _OK


def _argocd_packages(_: argparse.Namespace) -> int:
    needs.install(Terminal(), needs.ARGOCD, cni=False)
    return _OK


def _up(arguments: argparse.Namespace) -> int:
    named, progress = NamedCluster(arguments.name), Terminal()
    if not named.up(progress, node=arguments.node):
        progress.say(f"Cluster {named.name!r} is up already.")
    cluster = named.cluster()
    progress.say(f"It answers at {cluster.server}; its logs are in {named.logs}.")
    progress.say(f"To act as another person: `kubeconfig {'|'.join(sorted(cluster.people))}`.")
    print(f"export KUBECONFIG={cluster.admin_kubeconfig}")
    return _OK


def _down(arguments: argparse.Namespace) -> int:
    named, progress = NamedCluster(arguments.name), Terminal()
    if named.down(progress, keep_data=arguments.keep_data):
        progress.say(f"Cluster {named.name!r} is down.")
    else:
        progress.say(f"There is no cluster {named.name!r}.")
    return _OK


def _status(arguments: argparse.Namespace) -> int:
    names = [arguments.name] if arguments.name else all_names()
    if not names:
        print("There is no cluster.")
    for name in names:
        named = NamedCluster(name)
        state = "up" if named.is_up else "down" if named.exists else "not there"
        print(f"{name}: {state}" + (f", {Cluster.at(named.folder).server}" if named.is_up else ""))
        for part, entry in named.processes().items():
            print(f"  {part}: {f'pid {entry.pid}' if entry.alive else 'ended'}")
    return _OK if names and all(NamedCluster(name).is_up for name in names) else _FAILED


def _kubeconfig(arguments: argparse.Namespace) -> int:
    print(NamedCluster(arguments.name).cluster().kubeconfig(arguments.person))
    return _OK


def _logs(arguments: argparse.Namespace) -> int:
    named = NamedCluster(arguments.name)
    found = sorted(named.logs.glob("*.log")) if named.exists else []
    if not found:
        print(f"Cluster {named.name!r} has no logs.", file=sys.stderr)
        return _FAILED
    for log in found:
        print(f"{log}\n{tail(log, arguments.lines)}")
    return _OK


def _token_keeper(arguments: argparse.Namespace) -> int:
    named = None if arguments.kubeconfig else NamedCluster(arguments.name)
    cluster = Cluster.from_kubeconfig(arguments.kubeconfig) if named is None else named.cluster()
    account = Account(arguments.namespace, arguments.service_account, tuple(arguments.audience), arguments.seconds)
    keeper = TokenFile(cluster, account, arguments.file)
    if arguments.detach:
        return _detach_keeper(arguments, keeper, named)
    print(keeper.write_kubeconfig(arguments.write_kubeconfig), flush=True)
    # SIGTERM is how `down` and a shell's `kill` ask; `keep` then returns.
    signal.signal(signal.SIGTERM, lambda _number, _frame: keeper.stop())
    keeper.keep(give_up=True)
    return _OK


def _detach_keeper(arguments: argparse.Namespace, keeper: TokenFile, named: NamedCluster | None) -> int:
    # The first token is had here, where somebody still reads the message if there is none.
    keeper.start().stop()
    path = keeper.write_kubeconfig(arguments.write_kubeconfig)
    log = keeper.path.with_name(f"{keeper.path.name}.log")
    again = [argument for argument in sys.argv[1:] if argument != "--detach"]
    running = spawn("token-keeper", [sys.executable, "-m", "localcluster", *again], log)
    if named is not None:
        named.adopt(f"token-keeper {keeper.path}", running.id, Terminal())
    print(f"export KUBECONFIG={path}")
    print(f"Keeping {keeper.path} fresh: pid {running.id.pid}, log {log}", file=sys.stderr)
    return _OK


def _kind_up(arguments: argparse.Namespace) -> int:
    progress = Terminal()
    kubeconfig, created = kind.up(arguments.name, progress)
    progress.say(f"kind cluster {arguments.name!r} {'is up' if created else 'is up already'}.")
    print(f"export KUBECONFIG={kubeconfig}")
    return _OK


def _kind_down(arguments: argparse.Namespace) -> int:
    progress = Terminal()
    kind.down(arguments.name, progress)
    progress.say(f"There is no kind cluster {arguments.name!r} any more.")
    return _OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "localcluster",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        added.set_defaults(command=command)
        return added

    def with_name(command: argparse.ArgumentParser, default: str | None = DEFAULT_NAME) -> argparse.ArgumentParser:
        words = f"which cluster (default: {default or 'all'})"
        command.add_argument("--name", default=default, metavar="N", help=words)
        return command

    building = add("build", _build, "build the binaries if they are missing, and print their folder")
    building.add_argument(
        "--node", action="store_true", help="also build the binaries of a node, each set in its own folder"
    )
    up = with_name(add("up", _up, "start a cluster that keeps running after this command, and print how to use it"))
    up.add_argument("--node", action="store_true", help="with a node that runs pods; needs Linux and root")
    with_name(add("images", _images, "build Bailiwick's images, and load them into the node if there is one"))
    load = with_name(add("load", _load, "load images into the node"))
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE", help="an OCI or Docker archive")
    add("node-packages", _node_packages, "install the Debian packages that a node and its images need; needs root")
    add(
        "argocd-packages",
        _argocd_packages,
        "install the Debian packages that Argo CD needs; needs root",
    )
    down = with_name(add("down", _down, "stop a cluster, and remove its data, keys and logs"))
    down.add_argument("--keep-data", action="store_true", help="keep the folder; the next `up` uses it again")
    with_name(add("status", _status, "show what is running; exit 1 if something is not"), None)
    kubeconfig = with_name(add("kubeconfig", _kubeconfig, "print the path of a test person's kubeconfig"))
    kubeconfig.add_argument("person", metavar="PERSON", help="admin, carol, dave, erin, eve, grace or mallory")
    logs = with_name(add("logs", _logs, "print where the logs are, and their last lines"))
    logs.add_argument("--lines", type=int, default=15, metavar="N", help="how many lines of each (default: 15)")
    _add_token_keeper(
        with_name(add("token-keeper", _token_keeper, "keep a file filled with a service account's token"))
    )
    with_name(add("kind-up", _kind_up, "create a kind cluster from kind.yaml; needs a container engine"), "bailiwick")
    with_name(add("kind-down", _kind_down, "delete that kind cluster"), "bailiwick")
    return parser


def _add_token_keeper(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--kubeconfig", type=Path, metavar="PATH", help="kubeconfig of a cluster of yours, instead of --name"
    )
    command.add_argument("--namespace", required=True, help="the namespace of the service account")
    command.add_argument("--service-account", required=True, metavar="NAME", help="the name of the service account")
    command.add_argument("--file", type=Path, required=True, help="file to write the token to (mode 0600)")
    command.add_argument("--write-kubeconfig", type=Path, metavar="PATH", help="default: FILE.kubeconfig")
    command.add_argument("--audience", action="append", default=[], help="may be repeated; default: the API server")
    command.add_argument(
        "--seconds", type=int, default=3600, help="lifetime of a token in seconds, at least 600 (default: 3600)"
    )
    command.add_argument("--detach", action="store_true", help="run in the background; `down` stops it")


if __name__ == "__main__":
    # Leave by an exception when asked to end, so that whatever was begun is cleared away.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(_TERMINATED))
    sys.exit(main())
