"""Files of a folder that kubectl alone would apply: none passes whose text may hold an object of ours."""

from pathlib import Path
from typing import Final

import pytest

from bailiwick_api.documents.positions import MAX_BYTES, MAX_STREAM_BYTES
from bailiwick_governance.errors import UserError
from bailiwick_governance.sources.policies import files_of
from bailiwick_governance.sources.unreadfiles import refuse_unread

PLAIN: Final = b"apiVersion: bailiwick.dev/v1alpha1\nkind: EndpointPolicy\n"
# Each of these is what kubectl reads as the plain one.
SPELLINGS: Final = {
    "as it is": PLAIN,
    "behind more than a policy file may have": b"#" * (MAX_BYTES + 1) + b"\n" + PLAIN,
    "with \\x": rb'apiVersion: "\x62ailiwick.dev/v1alpha1"',
    "with \\u": rb'{"apiVersion": "\u0062ailiwick.dev/v1alpha1"}',
    "with \\U": rb'apiVersion: "\U00000062ailiwick.dev/v1alpha1"',
    "over two lines": b'apiVersion: "baili\\\n  wick.dev/v1alpha1"',
    "over three lines of CRLF": b'apiVersion: "baili\\\r\n\twick\\\r\n.dev/v1alpha1"',
    "over two lines by another break": 'apiVersion: "baili\\\N{NEXT LINE} wick.dev/v1alpha1"'.encode(),
    "in base64": b"apiVersion: !!binary YmFpbGl3aWNrLmRldi92MWFscGhhMQ==",
    "in base64, the tag with an escape": b"apiVersion: !!%62inary YmFpbGl3aWNrLmRldi92MWFscGhhMQ==",
    "in base64, the tag written out": b"apiVersion: !<tag:yaml.org,2002:binary> YmFpbGl3aWNrLmRldi92MWFscGhhMQ==",
    "in base64, by a handle": b"%TAG !e! tag:yaml.org,2002:\r---\ra: !e!binary YmFpbGl3aWNrLmRldi92MWFscGhhMQ==",
    "in base64, the tag written out with an escape": b"apiVersion: !<t%61g:yaml.org,2002:binary> YmFpbGl3aWNr",
    "in UTF-16, big end first": "\N{BYTE ORDER MARK}".encode("utf-16-be") + PLAIN.decode().encode("utf-16-be"),
    "in UTF-16, little end first": "\N{BYTE ORDER MARK}".encode("utf-16-le") + PLAIN.decode().encode("utf-16-le"),
}
OTHERS: Final = {
    "nothing": b"",
    "another kind": b"apiVersion: v1\nkind: ConfigMap\n",
    "a script": b"run: |\n  docker build \\\n    --tag bailiwick \\\n    .dev\n",
    "a path of Windows": rb'{"home": "C:\\Users\\ann"}',
    "a text with markup": b'{"hello": "<p>Welcome!</p>", "all": "100 %!!"}',
    "another tag": b"Resource: !Sub bucket\n",
    "more than a policy file may have": b"#" * (MAX_BYTES + 1),
    "as much as is read": b"#" * MAX_STREAM_BYTES,
}


@pytest.mark.parametrize("content", SPELLINGS.values(), ids=SPELLINGS)
def test_a_file_that_may_hold_an_object_is_refused_however_it_spells_the_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".extra.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"\.extra\.yaml may hold objects of bailiwick\.dev, but"):
        files_of(str(tmp_path))


@pytest.mark.parametrize("content", OTHERS.values(), ids=OTHERS)
def test_a_file_of_others_is_passed_over(content: bytes) -> None:
    refuse_unread("package.json", content)


def test_a_file_that_is_too_large_to_tell_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".extra.yaml").write_bytes(b"#" * (MAX_STREAM_BYTES + 1))
    with pytest.raises(UserError, match=rf"\.extra\.yaml is larger than {MAX_STREAM_BYTES} bytes, too large to tell"):
        files_of(str(tmp_path))
