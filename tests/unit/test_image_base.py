"""The base of the images says nothing of the machine and the day that it was made on, and lends nobody rights."""

from pathlib import Path

from localcluster.node import debian


def tree(folder: Path, machine: str, day: int) -> Path:
    """Return what debootstrap leaves, as far as it differs from one time to the next."""
    files = {
        "etc/hostname": f"{machine}\n",
        "etc/resolv.conf": f"nameserver of {machine}\n",
        "etc/apt/sources.list": f"deb http://mirror.{machine}/debian bookworm main\n",
        "etc/shadow": f"root:*:{day}:0:99999:7:::\nnobody:*:{day}:0:99999:7:::\n",
        "etc/shadow-": f"root:*:{day}:0:99999:7:::\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "var/log/bootstrap.log": f"{day}\n",
        "var/cache/ldconfig/aux-cache": f"{machine}\n",
        "var/lib/apt/lists/index": f"{day}\n",
        "var/lib/dpkg/status": "Package: tar\n",
        "usr/lib/python3/dist.py": "",
        "usr/lib/python3/__pycache__/dist.cpython-311.pyc": f"{day}",
        "run/lock": f"{day}",
        "tmp/left": machine,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "tmp").chmod(0o1777)
    return folder


def content(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def test_two_trees_of_the_same_packages_become_the_same(tmp_path: Path) -> None:
    trees = [tree(tmp_path / "one", "alpha", 20000), tree(tmp_path / "two", "beta", 20001)]
    assert content(trees[0]) != content(trees[1])
    for each in trees:
        debian.settle(each)
    assert content(trees[0]) == content(trees[1])


def test_what_an_image_needs_stays(tmp_path: Path) -> None:
    debian.settle(tree(tmp_path, "alpha", 20000))
    left = content(tmp_path)
    assert left["etc/passwd"][1] == b"root:x:0:0:root:/root:/bin/bash\n"
    # Locked, and of no age.
    assert left["etc/shadow"][1] == b"root:*::0:99999:7:::\nnobody:*::0:99999:7:::\n"
    assert left["var/lib/dpkg/status"][1] == b"Package: tar\n"
    assert left["tmp"][0] & 0o7777 == 0o1777
    assert b"alpha" not in b"".join(text for _, text in left.values())


def test_no_file_and_no_folder_lends_the_rights_of_its_owner_or_group(tmp_path: Path) -> None:
    debian_tree = tree(tmp_path, "alpha", 20000)
    given = {"usr/bin/su": 0o4755, "usr/sbin/unix_chkpwd": 0o2755, "usr/bin/both": 0o6711, "usr/bin/tar": 0o755}
    for name, mode in given.items():
        path = debian_tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"program")
        path.chmod(mode)
    (debian_tree / "var" / "mail").mkdir()
    (debian_tree / "var" / "mail").chmod(0o2775)
    # As Debian has them: into the tree, where the file behind it is another one on this machine, and to nothing.
    (debian_tree / "usr" / "bin" / "link").symlink_to("/usr/bin/su")
    (debian_tree / "usr" / "bin" / "broken").symlink_to("nothing")
    debian.settle(debian_tree)
    left = {path: path.lstat().st_mode & 0o7777 for path in debian_tree.rglob("*") if not path.is_symlink()}
    assert [path for path, mode in left.items() if mode & 0o6000] == []
    assert {name: left[debian_tree / name] for name in given} == {name: mode & 0o777 for name, mode in given.items()}
    assert left[debian_tree / "var" / "mail"] == 0o775
    assert left[debian_tree / "tmp"] == 0o1777
    assert (debian_tree / "usr" / "bin" / "su").read_bytes() == b"program"
