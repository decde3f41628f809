"""An image for arm64 is the one for amd64 with what depends on the processor swapped, and nothing of amd64 left."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from localcluster.node import debian
from localcluster.progress import Silent
from releasemaker import crossimages, debianpackages, imageindex, layouts
from releasemaker.crossimages import CrossImages
from releasemaker.errors import ReleaseError
from releasemaker.layertrees import LayerTree, Node
from releasemaker.source import Source

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="needs dpkg-deb, a program of Debian")

CREATED = 1_700_000_000
LIBRARY = "opt/bailiwick/lib"
COMPILED = "opt/bailiwick/compiled"
# Of the installed packages: architecture, Multi-Arch, and files by path, with their modes.
PACKAGES: dict[str, tuple[str, str, dict[str, tuple[str, int]]]] = {
    "libc6": ("amd64", "same", {"lib/TRIPLET/libc.so.6": ("ELF", 0o644), "etc/ld.so.conf.d/TRIPLET.conf": ("", 0o644)}),
    "loader": ("amd64", "no", {"lib64/ld.so": ("ELF", 0o4755)}),
    "su": ("amd64", "no", {"bin/su": ("ELF", 0o4755)}),
    "words": ("all", "no", {"usr/share/words/list": ("words", 0o644)}),
}
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu", "all": ""}
MACHINES = {"amd64": 62, "arm64": 183}


def elf(architecture: str) -> bytes:
    """Return the head of a program."""
    return b"\x7fELF\x02\x01\x01".ljust(18, b"\0") + MACHINES[architecture].to_bytes(2, "little") + b"code"


def files_of(name: str, architecture: str) -> dict[str, tuple[bytes, int]]:
    """Return what a package of an architecture has. On arm64, the loader is in another folder."""
    found = {}
    for path, (text, mode) in PACKAGES[name][2].items():
        own = path.replace("TRIPLET", TRIPLETS[architecture])
        own = own.replace("lib64/", "lib/") if architecture == "arm64" else own
        found[own] = (elf(architecture) if text == "ELF" else (text or architecture).encode(), mode)
    return found


def control(name: str, architecture: str, version: str = "1.0-1") -> str:
    """Return the fields of a package."""
    return (
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\nMulti-Arch: {PACKAGES[name][1]}\n"
        "Maintainer: Test <test@example.com>\nDescription: short\n and long\n .\n  with a line\n"
    )


def deb(folder: Path, name: str, version: str = "1.0-1", **more: bytes) -> Path:
    """Build the archive of a package as the other architecture has it; `more` are files of it, below `usr`."""
    architecture = "all" if PACKAGES[name][0] == "all" else "arm64"
    tree = folder / f"tree-{name}"
    files = {**files_of(name, architecture), **{f"usr/{path}": (content, 0o644) for path, content in more.items()}}
    for path, (content, mode) in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
        (tree / path).chmod(mode)
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text(control(name, architecture, version))
    marked = [f"/{path}\n" for path in files if path.startswith("etc/")]
    if marked:
        (tree / "DEBIAN" / "conffiles").write_text("".join(marked))
    archive = folder / f"{name}.deb"
    command: list[str | Path] = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, archive]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(tree)
    return archive


def debs(folder: Path) -> dict[str, Path]:
    """Build the archives of all packages."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: deb(folder, name) for name in PACKAGES}


def base() -> LayerTree:
    """Return the tree of a base for amd64, whose /usr is merged, with dpkg's database and what scripts have made."""
    tree = LayerTree({})
    for name in ("bin", "lib", "lib64"):
        tree.add_file(name, Node(tarfile.SYMTYPE, 0o777, debian.CREATED, target=f"usr/{name}"))
        tree.add_file(f"usr/{name}", Node(tarfile.DIRTYPE, 0o755, debian.CREATED))
    status = ""
    for name, (architecture, multi, _) in PACKAGES.items():
        stem = f"var/lib/dpkg/info/{name}:{architecture}" if multi == "same" else f"var/lib/dpkg/info/{name}"
        listed, sums = ["/."], []
        for path, (content, mode) in files_of(name, architecture).items():
            above = [f"/{'/'.join(path.split('/')[:end])}" for end in range(1, path.count("/") + 1)]
            listed += [*(each for each in above if each not in listed), f"/{path}"]
            sums.append(f"{hashlib.md5(content, usedforsecurity=False).hexdigest()}  {path}")
            tree.add_file(tree.resolve(path), file(content, mode & ~debian.LENT_RIGHTS))
        tree.add_file(f"{stem}.list", file("\n".join([*listed, ""]).encode()))
        tree.add_file(f"{stem}.md5sums", file("\n".join([*sums, ""]).encode()))
        package, rest = control(name, architecture).split("\n", 1)
        status += f"{package}\nStatus: install ok installed\n{rest}\n"
    tree.add_file("var/lib/dpkg/status", file(status.encode()))
    # Names of files may have an architecture.
    tree.add_file("var/lib/dpkg/info/format", file(b"1\n"))
    tree.add_file("var/lib/dpkg/available", file(b"Architecture: amd64\n"))
    tree.add_file("etc/ld.so.cache", file(b"/lib/x86_64-linux-gnu"))
    tree.add_file("etc/passwd", file(b"root:x:0:0:root:/root:/bin/bash\n"))
    tree.add_file("usr/bin/python3.11", file(b"#! by no package"))
    tree.add_file("usr/bin/python3", Node(tarfile.SYMTYPE, 0o777, debian.CREATED, target="python3.11"))
    return tree


def file(content: bytes, mode: int = 0o644, time: int = debian.CREATED) -> Node:
    """Return a file."""
    return Node(tarfile.REGTYPE, mode, time, content)


def texts(tree: LayerTree) -> bytes:
    """Return everything that a tree says."""
    return b"\n".join(path.encode() + node.content for path, node in tree.nodes.items())


class TestPackages:
    def test_of_the_processor_are_swapped_and_everything_else_stays_to_the_byte(self, tmp_path: Path) -> None:
        before = base()
        after = debianpackages.swap(before, debs(tmp_path).values())
        assert after.content("usr/lib/aarch64-linux-gnu/libc.so.6") == elf("arm64")
        assert after.content("lib/ld.so") == elf("arm64")
        assert b"x86_64" not in texts(after)
        assert b"amd64" not in texts(after)
        same = {path for path, node in after.nodes.items() if before.nodes.get(path) == node}
        assert {"etc/passwd", "usr/share/words/list", "var/lib/dpkg/info/words.list", "bin", "lib"} <= same
        # The tree that is swapped from is not touched.
        assert before.nodes == base().nodes

    def test_leave_no_folder_and_no_link_behind_that_has_nothing_in_it(self, tmp_path: Path) -> None:
        after = debianpackages.swap(base(), debs(tmp_path).values())
        assert {"usr/lib64", "lib64", "usr/lib/x86_64-linux-gnu"} & after.nodes.keys() == set()
        assert after.nodes["lib"].target == "usr/lib"

    def test_lend_no_rights_of_their_owner_as_in_the_base(self, tmp_path: Path) -> None:
        after = debianpackages.swap(base(), debs(tmp_path).values())
        assert after.nodes["usr/bin/su"].mode == 0o755
        assert after.nodes["usr/bin/su"].content == elf("arm64")
        # One that the base for amd64 has elsewhere.
        assert after.nodes["usr/lib/ld.so"].mode == 0o755

    def test_are_what_dpkg_finds_installed_and_unchanged(self, tmp_path: Path) -> None:
        after = debianpackages.swap(base(), debs(tmp_path / "debs").values())
        root = tmp_path / "root"
        with tarfile.open(fileobj=io.BytesIO(after.archive())) as archive:
            archive.extractall(root, filter="tar")
        query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show"]
        form = "--showformat=${Package} ${Version} ${Architecture} ${db:Status-Status} ${Conffiles}\n"
        shown = subprocess.run([*query, form], check=True, capture_output=True, text=True).stdout
        digest = hashlib.md5(b"arm64", usedforsecurity=False).hexdigest()
        assert shown.splitlines() == [
            f"libc6 1.0-1 arm64 installed  /etc/ld.so.conf.d/aarch64-linux-gnu.conf {digest}",
            "loader 1.0-1 arm64 installed ",
            "su 1.0-1 arm64 installed ",
            "words 1.0-1 all installed ",
        ]
        listed = subprocess.run(
            ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--listfiles", "libc6:arm64"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        assert "/lib/aarch64-linux-gnu/libc.so.6" in listed

    def test_of_another_version_are_refused_by_name_but_not_a_rebuild_of_the_same(self, tmp_path: Path) -> None:
        found = debs(tmp_path)
        found["su"] = deb(tmp_path, "su", "1.0-1+b2")
        debianpackages.swap(base(), found.values())
        found["su"] = deb(tmp_path, "su", "1.0-2")
        with pytest.raises(ReleaseError, match=r"The base has su 1\.0-1, and the other architecture 1\.0-2"):
            debianpackages.swap(base(), found.values())

    def test_that_only_one_architecture_has_are_refused(self, tmp_path: Path) -> None:
        found = debs(tmp_path)
        del found["su"]
        with pytest.raises(ReleaseError, match=r"The base has su 1\.0-1, and the other architecture not at all"):
            debianpackages.swap(base(), found.values())

    def test_of_which_a_script_has_changed_a_file_are_refused(self, tmp_path: Path) -> None:
        tree = base()
        tree.nodes["usr/bin/su"] = file(b"changed")
        with pytest.raises(ReleaseError, match="bin/su is not as su has it"):
            debianpackages.swap(tree, debs(tmp_path).values())

    def test_that_would_replace_what_a_script_has_made_are_refused(self, tmp_path: Path) -> None:
        found = debs(tmp_path)
        tree = base()
        tree.add_file("usr/made", file(b"by a script"))
        found["su"] = deb(tmp_path, "su", made=b"by the package")
        with pytest.raises(ReleaseError, match="su has usr/made, which is there already"):
            debianpackages.swap(tree, found.values())


def wheel(folder: Path, name: str, tag: str, files: dict[str, bytes], version: str = "1.0") -> Path:
    """Write a wheel."""
    information = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-{tag}.whl"
    record = "".join(f"{each},,\n" for each in [*files, f"{information}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for each, content in {
            **files,
            f"{information}/METADATA": f"Name: {name}\nVersion: {version}\n".encode(),
            f"{information}/WHEEL": f"Tag: {tag}\n".encode(),
            f"{information}/RECORD": record.encode(),
        }.items():
            archive.writestr(each, content)
    return path


def wheels(folder: Path, architecture: str) -> list[Path]:
    """Write the wheels of a lock: one that depends on the processor, and one that does not."""
    folder.mkdir(parents=True, exist_ok=True)
    machine = TRIPLETS[architecture].partition("-")[0]
    fast = {"fast/same.py": b"same", "fast/differs.py": machine.encode(), f"fast/lib.{machine}.so": elf(architecture)}
    return [
        wheel(folder, "fast", f"cp311-cp311-manylinux_2_28_{machine}", fast),
        wheel(folder, "plain", "py3-none-any", {"plain.py": b"plain"}),
    ]


def libraries(folder: Path) -> LayerTree:
    """Return the tree of our libraries for amd64, compiled."""
    tree = LayerTree({})
    for each in wheels(folder / "amd64", "amd64"):
        with zipfile.ZipFile(each) as archive:
            for name in archive.namelist():
                tree.add_file(f"{LIBRARY}/{name}", file(archive.read(name), time=CREATED))
    tree.add_file(f"{LIBRARY}/bailiwick/ours.py", file(b"ours", time=CREATED))
    for source in ("fast/same", "fast/differs", "plain", "bailiwick/ours"):
        tree.add_file(f"{COMPILED}/{LIBRARY}/{source}.cpython-311.opt-1.pyc", file(b"compiled", time=CREATED))
    return tree


class TestWheels:
    def test_for_a_processor_are_swapped_and_the_others_stay(self, tmp_path: Path) -> None:
        before = libraries(tmp_path)
        after = crossimages.swap_wheels(before, wheels(tmp_path / "arm64", "arm64"), CREATED)
        assert after.content(f"{LIBRARY}/fast/lib.aarch64.so") == elf("arm64")
        assert b"x86_64" not in texts(after)
        assert after.nodes[f"{LIBRARY}/plain.py"] is before.nodes[f"{LIBRARY}/plain.py"]

    def test_of_another_version_are_refused(self, tmp_path: Path) -> None:
        other = wheel(tmp_path, "fast", "cp311-cp311-manylinux_2_28_aarch64", {}, version="2.0")
        found = [other, *wheels(tmp_path / "arm64", "arm64")[1:]]
        with pytest.raises(ReleaseError, match=r"has fast 1\.0, and the lock for arm64 2\.0"):
            crossimages.swap_wheels(libraries(tmp_path), found, CREATED)

    def test_that_are_missing_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ReleaseError, match=r"has fast 1\.0, and the lock for arm64 not at all"):
            crossimages.swap_wheels(libraries(tmp_path), wheels(tmp_path / "arm64", "arm64")[1:], CREATED)


def test_what_is_compiled_stays_only_if_its_source_is_the_same_to_the_byte(tmp_path: Path) -> None:
    before = libraries(tmp_path)
    lowest, standard = LayerTree({}), LayerTree({})
    for tree, text in ((lowest, b"amd64"), (standard, b"arm64")):
        tree.add_file("usr/lib/python3.11/os.py", file(b"os"))
        tree.add_file("usr/lib/python3.11/build.py", file(text))
    for name in ("os", "build"):
        before.add_file(f"{COMPILED}/usr/lib/python3.11/{name}.cpython-311.opt-1.pyc", file(b"compiled"))
    after = crossimages.swap_wheels(before, wheels(tmp_path / "arm64", "arm64"), CREATED)
    crossimages.remove_stale((lowest, before), (standard, after))
    left = {path.removeprefix(f"{COMPILED}/") for path in after.nodes if path.endswith(".pyc")}
    sources = ("fast/same", "plain", "bailiwick/ours")
    assert left == {f"{LIBRARY}/{name}.cpython-311.opt-1.pyc" for name in sources} | {
        "usr/lib/python3.11/os.cpython-311.opt-1.pyc"
    }


class TestAnImage:
    def native(self, folder: Path, top: LayerTree) -> Path:
        """Write the layout of an image for amd64, as buildah does."""
        layers = [layouts.Blob("application/vnd.oci.image.layer.v1.tar", one.archive()) for one in (base(), top)]
        config = layouts.Blob(
            "application/vnd.oci.image.config.v1+json",
            json.dumps({"architecture": "amd64", "os": "linux", "config": {"User": "65532:65532"}}).encode(),
        )
        made = layouts.manifest(config, layers, {"org.opencontainers.image.base.name": "localhost/base:1"})
        path = folder / "native.oci.tar"
        path.write_bytes(layouts.layout(made, "1", [config, *layers], CREATED))
        # What is got from outside lies in the cache already.
        debs(folder / "cache" / "images" / f"packages-arm64-{layers[0].digest.removeprefix('sha256:')[:16]}")
        lock = folder / "requirements" / "webhook.txt"
        lock.parent.mkdir()
        lock.write_text("fast==1.0\nplain==1.0\n")
        digest = hashlib.sha256(lock.read_bytes()).hexdigest()
        wheels(folder / "cache" / "wheels" / digest[:16] / "linux-arm64-3.11", "arm64")
        return path

    def make(self, folder: Path, native: Path, name: str) -> Path:
        archive = folder / name
        source = Source(folder, "1.2.3", "c0ffee", CREATED)
        CrossImages(source, Silent()).build(native, "webhook", archive, "bailiwick-webhook")
        return archive

    def test_for_arm64_is_the_same_whenever_it_is_made_and_joins_the_one_for_amd64(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path / "cache"))
        native = self.native(tmp_path, libraries(tmp_path))
        made = [self.make(tmp_path, native, name) for name in ("one", "two")]
        assert made[0].read_bytes() == made[1].read_bytes()
        imageindex.join({"linux-amd64": native, "linux-arm64": made[0]}, tmp_path / "joined", "1.2.3", CREATED)
        with imageindex.open_layout(tmp_path / "joined") as joined:
            image = joined.images()["linux-arm64"]
            assert image.digest == layouts.layout_digest(made[0])
            # It was not made on the base for amd64.
            assert image.manifest["annotations"] == {}
            config = json.load(joined.blob(image.manifest["config"]["digest"]))
            assert {"architecture": "arm64", "os": "linux", "variant": "v8"}.items() <= config.items()
            assert config["config"] == {"User": "65532:65532"}
            for descriptor, diff_id in zip(image.manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
                archive = gzip.decompress(joined.blob(descriptor["digest"]).read())
                assert f"sha256:{hashlib.sha256(archive).hexdigest()}" == diff_id
                assert b"x86_64" not in archive

    def test_with_a_program_for_another_processor_is_refused_by_its_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BAILIWICK_CACHE", str(tmp_path / "cache"))
        top = libraries(tmp_path)
        top.add_file(f"{LIBRARY}/left/over.so", file(elf("amd64")))
        with pytest.raises(ReleaseError, match=r"arm64 has /opt/bailiwick/lib/left/over\.so, whose e_machine is 62"):
            self.make(tmp_path, self.native(tmp_path, top), "one")
