"""For which names a certificate is served, and until when; what else is refused of one, tests/abuse shows served."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bailiwick_webhook.tls.pair import UnusableError, look
from support.certificates import self_signed


@pytest.mark.parametrize(
    ("named", "wanted", "covered"),
    [
        ("a.example", ["a.example"], True),
        ("a.example", ["A.Example"], True),
        ("A.example", ["a.example", "127.0.0.1"], True),
        ("a.example", ["b.example"], False),
        ("a.example", ["a.example", "b.example"], False),
        ("a.example", ["127.0.0.2"], False),
        ("a.example", ["x.a.example"], False),
        ("*.example", ["a.example", "b.example"], True),
        ("*.EXAMPLE", ["a.example"], True),
        ("*.example", ["example"], False),
        ("*.example", ["a.b.example"], False),
        ("*.example", ["a.example.other"], False),
        ("a*.example", ["ab.example"], False),
    ],
)
def test_a_certificate_is_served_only_where_it_is_for_every_name(
    tmp_path: Path, named: str, wanted: list[str], covered: bool
) -> None:
    certificate, key = (path.read_bytes() for path in self_signed(tmp_path, named))
    if covered:
        assert look(certificate, key, datetime.now(UTC), wanted).names == (named, "127.0.0.1")
    else:
        with pytest.raises(UnusableError, match=r"the certificate is for .*, not for "):
            look(certificate, key, datetime.now(UTC), wanted)


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_nothing_is_served_before_both_are_there(tmp_path: Path, missing: str) -> None:
    certificate, key = (path.read_bytes() for path in self_signed(tmp_path))
    with pytest.raises(UnusableError, match="the files are empty"):
        look(b"\n" if missing == "certificate" else certificate, b"\n" if missing == "key" else key, datetime.now(UTC))


def test_a_certificate_is_valid_from_its_first_second_to_before_its_last(tmp_path: Path) -> None:
    certificate, key = (path.read_bytes() for path in self_signed(tmp_path))
    ends = look(certificate, key, datetime.now(UTC)).not_after
    begins = ends - timedelta(days=1, minutes=5)
    for moment in (begins, ends - timedelta(seconds=1)):
        assert look(certificate, key, moment).not_after == ends
    for moment, said in ((begins - timedelta(seconds=1), "is not valid before"), (ends, "expired at")):
        with pytest.raises(UnusableError, match=said):
            look(certificate, key, moment)
