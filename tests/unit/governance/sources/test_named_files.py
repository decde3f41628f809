"""Files and folders that were named: no folder of others is passed over, and no pipe is waited for in vain."""

import os
import threading
from pathlib import Path
from typing import Final

import pytest
import yaml

from bailiwick_api.documents.positions import MAX_BYTES
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.policies import files_named, files_of
from support.objects import Object, policy, rule
from support.suites import written

POLICY: Final = policy("crm", rules=[rule()])
OTHER: Final = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
DATA: Final = {**POLICY, "kind": "EndpointData", "spec": {"data": {}}}
# Longer than what a pipe holds, so that the writer has to wait for the reader.
LONG: Final = b"#" * (MAX_BYTES // 2)

OF_OTHERS: Final[dict[str, dict[str, str | Object]]] = {
    "no file": {},
    "no file that is read": {"README.md": "# Policies\n", "drafts/notes.txt": ""},
    "an empty file": {"a.yaml": "# later\n"},
    "objects of others": {"a.yaml": OTHER, "b/c.yml": {"apiVersion": "v1", "kind": "List", "items": [OTHER]}},
}
OURS: Final[dict[str, dict[str, str | Object]]] = {
    "a policy": {"a.yaml": OTHER, "b/c.yml": POLICY},
    "data": {"a.yaml": DATA},
    "a misspelled group": {"a.yaml": {**POLICY, "apiVersion": "bailiwik.dev/v1alpha1"}},
    "what cannot be parsed": {"a.yaml": "spec: ["},
    "a file that is too large": {"a.yaml": "#" * (MAX_BYTES + 1)},
}


@pytest.mark.parametrize("files", OF_OTHERS.values(), ids=OF_OTHERS)
def test_a_folder_with_nothing_of_ours_is_an_error_also_beside_another_one(
    tmp_path: Path, files: dict[str, str | Object]
) -> None:
    full, folder = written(tmp_path / "full", {"a.yaml": POLICY}), tmp_path / "folder"
    folder.mkdir()
    written(folder, files)
    for names in ([folder], [full, folder], [folder, full]):
        with pytest.raises(UserError) as raised:
            files_named(map(str, names))
        assert str(raised.value) == f"{folder}: no EndpointPolicy found"


@pytest.mark.parametrize("files", OURS.values(), ids=OURS)
def test_a_folder_with_something_that_is_or_may_be_ours_is_read(tmp_path: Path, files: dict[str, str | Object]) -> None:
    written(tmp_path, files)
    assert len(files_named([str(tmp_path)])) == len(files)


def test_a_file_of_others_that_was_named_is_read() -> None:
    # A shell's `*.yaml` names those too.
    assert [label for label, _ in files_named([os.devnull])] == [os.devnull]


def test_a_pipe_without_a_writer_is_an_error_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="pipe cannot be read: it is a pipe without a writer"):
        files_of(str(tmp_path / "pipe"))


@pytest.mark.parametrize("named", [True, False], ids=["a named pipe", "a pipe of a shell"])
def test_a_pipe_is_read_to_its_end_while_it_is_written(tmp_path: Path, named: bool) -> None:
    text = LONG + b"\n" + yaml.safe_dump(POLICY).encode()
    if named:
        name = str(tmp_path / "pipe")
        os.mkfifo(name)
        # Opened for both, or it would wait for the reader before there is one.
        opened = [os.open(name, os.O_RDWR)]
    else:
        opened = list(os.pipe())
        name = f"/dev/fd/{opened[0]}"

    def write() -> None:
        with os.fdopen(opened[-1], "wb") as file:
            file.write(text)

    writer = threading.Thread(target=write)
    writer.start()
    ((label, file),) = files_of(name)
    writer.join()
    for descriptor in opened[:-1]:
        os.close(descriptor)
    assert (label, file.content) == (name, text)


def test_a_pipe_of_a_shell_is_read_after_its_writer_ended() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"kind: EndpointPolicy\n")
    os.close(writing)
    ((_, file),) = files_of(f"/dev/fd/{reading}")
    os.close(reading)
    assert file.content == b"kind: EndpointPolicy\n"


def test_no_more_is_read_of_a_pipe_than_shows_that_it_is_too_large() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb") as file:
            file.write(b"#" * (MAX_BYTES + 1))
            file.flush()
            closing.wait()

    closing = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    ((_, file),) = files_of(f"/dev/fd/{reading}")
    closing.set()
    writer.join()
    os.close(reading)
    assert file.unreadable == f"larger than {MAX_BYTES} bytes"
