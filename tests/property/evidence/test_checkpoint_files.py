"""What is wrong with a file of checkpoints is said with its name, however it was made: it is no bug of the program."""

import json
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from bailiwick_cli.errors import CliError
from bailiwick_cli.options import Flags
from bailiwick_cli.witnesses import book_of
from support.evidence.logs import ProcessLog
from support.evidence.shardruns import KUBECTLS
from support.evidence.tilelogs import EAST, EAST_KEY, process_log

LOG: Final[ProcessLog] = process_log(2).records(6)
HEAD: Final = "apiVersion: v1\ndata: {z: '\N{EM DASH} junk'}\n"
MULTIPLIED: Final = "".join(f"- &a{n + 1} {{items: [{','.join([f'*a{n}'] * 9)}]}}\n" for n in range(4))
WRONG: Final = {
    "shared nodes": f"{HEAD}items:\n- &a0 {{data: {{}}}}\n{MULTIPLIED}",
    "a node in itself": f"{HEAD}items: &a [{{items: *a}}]\n",
    "YAML in depth": f"{HEAD}items: {'[' * 3000}{']' * 3000}\n",
    "YAML in some depth": f"{HEAD}items: {'[' * 80}{']' * 80}\n",
    "a list as a name": f"{HEAD}? [a]\n: b\n",
    "an object as a name": f"{HEAD}? {{a: b}}\n: b\n",
    "no time": f"{HEAD}a: !!timestamp never\n",
    "no truth": f"{HEAD}a: !!bool perhaps\n",
    "an unknown type": f"{HEAD}a: !!python/none x\n",
    "JSON in depth": '{"data":{"a":"\N{EM DASH} x"},"items":' + "[" * 100_000 + "]" * 100_000 + "}",
    "JSON in some depth": '{"data":{"a":"\N{EM DASH} x"},"items":' + "[" * 400 + "]" * 400 + "}",
    "objects in depth": '{"items":[' * 300 + '{"data":{"a":"\N{EM DASH} x"}}' + "]}" * 300,
    "a number without end": '{"data":{"a":"\N{EM DASH} x"},"b":' + "9" * 5000 + "}",
}


def read(folder: Path, kept: str) -> int:
    """Read a file of checkpoints; return how many claims it makes about a log."""
    (folder / "kept").write_text(kept, encoding="utf-8", newline="")
    return len(book_of([str(folder / "kept")], [str(EAST_KEY)], Flags(**KUBECTLS)).claims_of(LOG.id))


@pytest.mark.parametrize("kept", WRONG.values(), ids=WRONG.keys())
def test_a_file_that_no_cluster_prints_is_refused_by_its_name(tmp_path: Path, kept: str) -> None:
    with pytest.raises(CliError, match=rf"^{tmp_path}/kept: "):
        read(tmp_path, kept)


def test_an_entry_in_depth_hides_no_other(tmp_path: Path) -> None:
    entries = {"a": '{"a":' * 100_000, "b": json.dumps({"checkpoint": LOG.checkpoint(by=EAST)})}
    assert read(tmp_path, json.dumps({"data": entries})) == 1


@given(
    st.text("{}[]:,-&*!?<|>'\"# \nab1~\N{EM DASH}", max_size=40),
    st.sampled_from(["", "apiVersion: v1\n", "apiVersion: v1\nitems: ", "apiVersion: v1\ndata:\n  a: ", "{"]),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read_or_refused(tmp_path: Path, text: str, before: str) -> None:
    said = f"{tmp_path}/kept: "
    try:
        assert read(tmp_path, before + text) == 0
    except CliError as error:
        said = str(error)
    assert said.startswith(f"{tmp_path}/kept: ")
