"""Keys of witnesses as they are given: each is of the cluster that is named before it, or none is of any."""

from pathlib import Path

import pytest

from bailiwick_evidence.note import SignatureType, VerifierKey, verifier_key
from bailiwick_governance.errors import UserError
from bailiwick_governance.records.witnesskeys import cluster_keys_of, keys_of
from support.evidence.logs import private_key
from support.evidence.tilelogs import EAST_KEY, LOG_KEY, WEST_KEY

NEXT_KEY = verifier_key(EAST_KEY.name, SignatureType.COSIGNATURE, private_key(85))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The keys of two clusters in files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "east.vkey").write_text(f"{EAST_KEY}\n{NEXT_KEY}\n")
    (tmp_path / "west.vkey").write_text(f"# of the west\n{WEST_KEY}\n")
    (tmp_path / "none.vkey").write_text("# nothing yet\n")
    return tmp_path


@pytest.mark.parametrize("west", ["west.vkey", "./west.vkey", str(WEST_KEY)])
def test_each_key_is_of_the_cluster_before_it(west: str) -> None:
    found = cluster_keys_of(["east=east.vkey", f"west={west}", f"east={EAST_KEY}"])
    assert found.keys == (EAST_KEY, NEXT_KEY, WEST_KEY)
    assert found.clusters == {EAST_KEY: "east", NEXT_KEY: "east", WEST_KEY: "west"}


def test_without_a_name_no_key_is_of_a_cluster() -> None:
    found = cluster_keys_of(["east.vkey", str(WEST_KEY), "./west.vkey"])
    assert (found.keys, found.clusters) == ((EAST_KEY, NEXT_KEY, WEST_KEY), {})
    assert cluster_keys_of(None) == ((), {})


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (["east=east.vkey", "west.vkey"], "is of no cluster, and another one is of east"),
        (["west.vkey", "east=east.vkey"], "is of no cluster, and another one is of east"),
        (["west=west.vkey", "west.vkey"], "is of no cluster, and another one is of west"),
        (["east=east.vkey", f"west={EAST_KEY}"], "is given for east and for west"),
        (["east=none.vkey", "west=west.vkey"], "east=none.vkey: there is no key in it"),
        (["east=nowhere.vkey"], "nowhere.vkey cannot be read"),
        (["east=east+00000000+key"], "not a key of signed notes"),
        ([f"east={LOG_KEY}"], "does not sign cosignatures"),
        (["=east.vkey"], "=east.vkey cannot be read"),
        (["east="], "east= cannot be read"),
    ],
)
def test_what_would_leave_open_whose_a_key_is_is_refused(given: list[str], why: str) -> None:
    with pytest.raises(UserError) as refused:
        cluster_keys_of(given)
    assert why in str(refused.value)


def test_one_key_under_two_names_is_still_of_one_cluster() -> None:
    renamed = VerifierKey("bailiwick/other/witness", EAST_KEY.kind, EAST_KEY.public)
    with pytest.raises(UserError, match="speaks for one cluster only"):
        cluster_keys_of([f"east={EAST_KEY}", f"west={renamed}"])


def test_a_file_whose_name_has_the_form_of_a_cluster_is_not_guessed_at(folder: Path) -> None:
    (folder / "a=east.vkey").write_text(f"{WEST_KEY}\n")
    with pytest.raises(UserError, match=r"write \./a=east\.vkey"):
        cluster_keys_of(["a=east.vkey"])
    assert cluster_keys_of(["./a=east.vkey"]) == ((WEST_KEY,), {})
    assert keys_of(["a=east.vkey"]) == [WEST_KEY]


def test_where_clusters_are_not_told_apart_a_name_is_refused() -> None:
    with pytest.raises(UserError, match="only --witness-key of audit verify and audit report names a cluster"):
        keys_of(["east=east.vkey"])
