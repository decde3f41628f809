"""The command line: `python -m releasemaker build|images|verify|packages`, which `make release` and its siblings start.

Standing: the outermost part. A summary goes to standard output, everything else to standard error.
"""

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from localcluster import build as programs
from localcluster.errors import LocalClusterError
from localcluster.node import images, needs
from localcluster.node.needs import Program
from localcluster.progress import Terminal
from releasemaker import imageindex, workflows
from releasemaker.assembly import IMAGES, ReleaseSettings, assemble
from releasemaker.crossimages import CrossImages
from releasemaker.errors import ReleaseError
from releasemaker.source import export
from releasemaker.verification import problems
from releasemaker.wheels import AMD64, ARM64

ROOT: Final = Path(__file__).resolve().parents[2]
# Names that no resolver finds (RFC 2606): whoever publishes a release says where.
_REGISTRY: Final = "registry.example/bailiwick"
_ADDRESS: Final = "https://downloads.example/bailiwick"
# What copies to registries, and what runs programs for arm64.
PROGRAMS: Final = (Program("skopeo", "skopeo"), Program("qemu-aarch64-static", "qemu-user-static"))
_EPILOG: Final = """\
Exit codes: 0 success; 1 no release, or one that does not count, and the message says why; 2 usage error.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    except LocalClusterError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _build(arguments: argparse.Namespace) -> int:
    settings = ReleaseSettings(
        arguments.version,
        arguments.registry.rstrip("/"),
        arguments.address.rstrip("/"),
        arguments.key,
        arguments.images,
    )
    summary = assemble(arguments.source, arguments.output, settings, Terminal())
    _print(summary, arguments)
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    cosign = programs.ensure(programs.cosign(), Terminal()) / "cosign"
    found = list(problems(arguments.folder, arguments.public_key, cosign))
    if arguments.output_format == "json":
        print(json.dumps({"problems": found}))
    else:
        print("\n".join(found) or f"{arguments.folder}: every file is as it was signed.")
    return 1 if found else 0


def _images(arguments: argparse.Namespace) -> int:
    progress = Terminal()
    # The others are made from those of this machine: nothing of another one runs here.
    own_word = imageindex.platform_word(platform.machine())
    if own_word != AMD64.name:
        raise ReleaseError(f"The images of a release are made on {AMD64.name}, and this machine is {own_word}.")
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bailiwick-source-") as folder:
        source = export(arguments.source, arguments.version, Path(folder))
        cross = CrossImages(source, progress)
        for name, (_, lock) in IMAGES.items():
            archive = arguments.output.absolute() / f"{name}.oci.tar"
            made = {one.name: archive.with_name(f"{name}-{one.name}.oci.tar") for one in (AMD64, ARM64)}
            short = name.removeprefix("bailiwick-")
            native = made[AMD64.name]
            images.build_released(progress, source.folder, short, native, source.version, source.created)
            cross.build(native, lock, made[ARM64.name], name)
            print(f"{name} {imageindex.join(made, archive, source.version, source.created)} {archive}")
            for part in made.values():
                part.unlink()
    return 0


def _workflows(_: argparse.Namespace) -> int:
    found = list(workflows.problems(ROOT, programs.ensure(programs.actionlint(), Terminal()) / "actionlint"))
    print("\n".join(found) or "The workflows pass actionlint and zizmor.")
    return 1 if found else 0


def _packages(_: argparse.Namespace) -> int:
    needs.install(Terminal(), PROGRAMS, cni=False)
    return 0


def _print(summary: dict[str, Any], arguments: argparse.Namespace) -> None:
    if arguments.output_format == "json":
        print(json.dumps(summary, indent=2))
        return
    for file in summary["files"]:
        print(f"{file['sha256'][:12]}  {file['bytes'] / 1e6:8.2f} MB  {file['name']}")
    print(f"Chart: {summary['chart']}")
    for name, digest in summary["images"].items():
        print(f"{name}: {digest}")
    print(f"Bailiwick {summary['version']} of commit {summary['commit'][:12]} is in {arguments.output}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "releasemaker", description=__doc__, epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = commands.add_parser("build", help="make a release of the commit of a clean checkout")
    build.set_defaults(command=_build)
    build.add_argument("--key", type=Path, metavar="FILE", help="private key in PKCS#8, or of cosign (COSIGN_PASSWORD)")
    build.add_argument("--images", type=Path, metavar="FOLDER", help="images that `images` has built")
    build.add_argument("--registry", default=_REGISTRY, metavar="HOST/PATH", help=f"of images (default: {_REGISTRY})")
    build.add_argument("--address", default=_ADDRESS, metavar="URL", help=f"of downloads (default: {_ADDRESS})")
    image = commands.add_parser(
        "images", help="build the images of that commit, for --images of build; needs root on Debian for amd64"
    )
    image.set_defaults(command=_images)
    for each, default in ((build, "dist"), (image, "build/release-images")):
        each.add_argument("--version", required=True, help="the version, which the commit must state")
        each.add_argument(
            "--source", type=Path, default=ROOT, metavar="FOLDER", help="the checkout (default: this one)"
        )
        each.add_argument("--output", type=Path, default=ROOT / default, metavar="FOLDER", help=f"default: {default}")
    checking = commands.add_parser("workflows", help="check the workflows with actionlint and zizmor")
    checking.set_defaults(command=_workflows)
    packages = commands.add_parser(
        "packages", help="install what verify-release needs and is missing; needs root on Debian"
    )
    packages.set_defaults(command=_packages)
    verify = commands.add_parser("verify", help="name each file of a release that is not as it was signed")
    verify.set_defaults(command=_verify)
    verify.add_argument("folder", type=Path, metavar="FOLDER", help="the release")
    # None by default: a forged release comes with a key of its own.
    verify.add_argument("--public-key", type=Path, required=True, metavar="FILE", help="the key that you trust")
    for each in (build, verify):
        each.add_argument(
            "-o", dest="output_format", choices=["text", "json"], default="text", help="form of the summary"
        )
    return parser


if __name__ == "__main__":
    sys.exit(main())
