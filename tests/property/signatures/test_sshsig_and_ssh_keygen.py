"""What ssh-keygen signs verifies here, what is signed here verifies with ssh-keygen, and neither takes another thing.

ssh-keygen is the oracle in both directions. The one direction that may differ is named: what is accepted here is
accepted there, and some that is accepted there is refused here.
"""

import base64
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, strategies as st

from bailiwick_engine.signatures.publickey import (
    SK_ECDSA,
    PublicKey,
    PublicKeyError,
    encode_key,
    parse_key_line,
    parse_public_key,
)
from bailiwick_engine.signatures.sshsig import (
    BEGIN,
    END,
    USER_PRESENT,
    SignatureFormatError,
    SshSignature,
    parse_signature,
    signed_data,
    verify,
    write_signature,
)
from bailiwick_engine.signatures.statement import REVIEW_NAMESPACE, REVIEWERS_NAMESPACE
from bailiwick_engine.signatures.wire import encode_mpint, encode_string, encode_strings
from support.signatures.keys import KeyFile, SecurityKey, entry_line, keygen_verifies

MESSAGE: Final = b'{"decision":"Approve"}'
KINDS: Final = {
    "ed25519": ("ed25519", None),
    "nistp256": ("ecdsa", 256),
    "nistp384": ("ecdsa", 384),
    "nistp521": ("ecdsa", 521),
    "rsa": ("rsa", 2048),
}
SECURITY_KEYS: Final[dict[str, Callable[[], SshSignature]]] = {
    "sk-ed25519": lambda: SecurityKey.make(ed25519=True).sign(MESSAGE),
    "sk-ecdsa": lambda: SecurityKey.make().sign(MESSAGE),
    "sk-ecdsa over sha512": lambda: SecurityKey.make().sign(MESSAGE, hash_name="sha512"),
    "passkey": lambda: SecurityKey.make("bailiwick.example.com").assertion(MESSAGE),
    "passkey with extensions": lambda: SecurityKey.make("x.example").assertion(
        MESSAGE, flags=0x85, extensions=b"\xa1kcredProtect\x02", more=""
    ),
    "passkey that was synchronized": lambda: SecurityKey.make("x.example").assertion(MESSAGE, flags=0x1D),
}


@pytest.fixture(scope="module", params=KINDS)
def key(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> KeyFile:
    kind, bits = KINDS[request.param]
    return KeyFile.make(tmp_path_factory.mktemp("keys") / "key", kind, bits)


@pytest.mark.parametrize("hash_name", ["sha256", "sha512"])
def test_what_ssh_keygen_signs_verifies_here_and_is_written_as_it_writes_it(key: KeyFile, hash_name: str) -> None:
    text = key.sign(MESSAGE, hash_name=hash_name)
    signature, public = parse_signature(text), parse_key_line(key.line)
    assert verify(signature, public, REVIEW_NAMESPACE, MESSAGE)
    assert not verify(signature, public, REVIEWERS_NAMESPACE, MESSAGE)
    assert not verify(signature, public, REVIEW_NAMESPACE, MESSAGE + b" ")
    assert write_signature(signature) == text
    assert str(public) == key.entry


@pytest.mark.parametrize("name", SECURITY_KEYS)
def test_what_a_security_key_or_a_browser_signs_verifies_here_and_with_ssh_keygen(name: str, tmp_path: Path) -> None:
    signature = SECURITY_KEYS[name]()
    text = write_signature(signature)
    assert parse_signature(text) == signature
    signers = entry_line("oidc:carol", signature.key)
    for message, wanted in ((MESSAGE, True), (b"other", False)):
        assert verify(signature, signature.key, REVIEW_NAMESPACE, message) is wanted
        assert keygen_verifies(tmp_path, signers, "oidc:carol", text, message) is wanted
    assert not keygen_verifies(tmp_path, signers, "oidc:dave", text, MESSAGE)


def blob_of(text: str) -> bytes:
    return base64.b64decode(text.removeprefix(BEGIN).replace("\n", "").removesuffix(END))


def armored(blob: bytes) -> str:
    return f"{BEGIN}\n{base64.b64encode(blob).decode()}\n{END}\n"


def accepted(text: str, key: PublicKey, message: bytes = MESSAGE) -> bool:
    try:
        return verify(parse_signature(text), key, REVIEW_NAMESPACE, message)
    except SignatureFormatError:
        return False


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SshSignature]:
    folder = tmp_path_factory.mktemp("signed")
    made = {name: make() for name, make in SECURITY_KEYS.items()}
    for number, (name, (kind, bits)) in enumerate(KINDS.items()):
        made[name] = parse_signature(KeyFile.make(folder / f"k{number}", kind, bits).sign(MESSAGE))
    return made


@pytest.mark.parametrize("name", [*KINDS, *SECURITY_KEYS])
def test_with_any_byte_of_it_changed_it_is_no_signature(name: str, signed: dict[str, SshSignature]) -> None:
    signature = signed[name]
    blob = blob_of(write_signature(signature))
    assert accepted(armored(blob), signature.key)
    for place in range(len(blob)):
        for flipped in (1, 0x80):
            changed = blob[:place] + bytes([blob[place] ^ flipped]) + blob[place + 1 :]
            assert not accepted(armored(changed), signature.key), place
    assert not accepted(armored(blob + b"\0"), signature.key)
    assert not accepted(armored(blob[:-1]), signature.key)


@pytest.mark.parametrize("name", ["ed25519", "nistp256", "sk-ecdsa", "passkey"])
def test_with_any_character_of_its_text_changed_it_is_no_signature(name: str, signed: dict[str, SshSignature]) -> None:
    signature = signed[name]
    text = write_signature(signature)
    for place in range(len(text)):
        for other in ("A", "B", "=", " ", "\n", "\r", "\u0430"):
            if text[place] != other:
                assert not accepted(text[:place] + other + text[place + 1 :], signature.key), (place, other)


@pytest.mark.parametrize("name", [*KINDS, *SECURITY_KEYS])
def test_with_any_byte_of_the_key_changed_it_is_of_another_key(name: str, signed: dict[str, SshSignature]) -> None:
    signature = signed[name]
    for place in range(len(signature.key.blob)):
        blob = bytearray(signature.key.blob)
        blob[place] ^= 1
        try:
            other = parse_public_key(bytes(blob))
        except PublicKeyError:
            continue
        assert other != signature.key
        assert not verify(signature, other, REVIEW_NAMESPACE, MESSAGE)
        assert not verify(dataclasses.replace(signature, key=other), other, REVIEW_NAMESPACE, MESSAGE)


@given(st.binary(max_size=64))
def test_another_message_is_never_signed(message: bytes) -> None:
    signature = _PASSKEY.assertion(MESSAGE)
    assert verify(signature, signature.key, REVIEW_NAMESPACE, message) is (message == MESSAGE)


_PASSKEY: Final = SecurityKey.make("bailiwick.example.com")
_FIELD: Final = _PASSKEY.assertion(MESSAGE)

SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "with Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "with a line before": lambda text: f"\n{text}",
    "with text behind": lambda text: f"{text}x",
    "with an empty line in it": lambda text: text.replace("\n", "\n\n", 1),
    "with spaces in it": lambda text: text.replace("\n", " \n"),
    "with the last bits of base64 set": lambda text: text,
    "twice": lambda text: text + text,
    "too long": lambda text: text.replace("\n", "\n" + "A" * 4_100, 1),
}


@pytest.mark.parametrize("name", [name for name in SPELLINGS if "bits" not in name])
def test_a_signature_has_one_spelling(name: str) -> None:
    text = write_signature(_FIELD)
    with pytest.raises(SignatureFormatError):
        parse_signature(SPELLINGS[name](text))


def test_lines_may_break_anywhere_and_the_last_line_end_may_be_missing() -> None:
    blob = blob_of(write_signature(_FIELD))
    assert parse_signature(armored(blob)) == _FIELD
    assert parse_signature(write_signature(_FIELD).removesuffix("\n")) == _FIELD


def test_base64_whose_spare_bits_are_set_is_refused() -> None:
    # Two of three lengths of a blob have spare bits, and ECDSA signatures have several lengths: so try often.
    for size in range(64):
        signature = _PASSKEY.assertion(MESSAGE, more="," + f'"x":"{"y" * size}"')
        text = write_signature(signature)
        body = text.removeprefix(f"{BEGIN}\n").removesuffix(f"\n{END}\n")
        if body.endswith("="):
            last = body.rstrip("=")[-1]
            other = chr(ord(last) + 1)
            changed = text.replace(f"{last}{'=' * body.count('=')}\n{END}", f"{other}{'=' * body.count('=')}\n{END}")
            assert changed != text
            with pytest.raises(SignatureFormatError):
                parse_signature(changed)
            return
    pytest.fail("no length has spare bits")


def forged(key: PublicKey, inner: bytes, *, hash_name: str = "sha256", reserved: bytes = b"") -> str:
    parts = encode_strings(key.blob, REVIEW_NAMESPACE, reserved, hash_name, inner)
    return armored(b"SSHSIG" + (1).to_bytes(4, "big") + parts)


def test_an_rsa_signature_over_sha1_is_refused(tmp_path: Path) -> None:
    key = parse_key_line(KeyFile.make(tmp_path / "rsa", "rsa", 2048).line)
    with pytest.raises(SignatureFormatError, match="ssh-rsa"):
        parse_signature(forged(key, encode_strings("ssh-rsa", b"x" * 256)))


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublicKeyError, match="2048"):
        parse_key_line(KeyFile.make(tmp_path / "rsa", "rsa", 1024).line)


def test_integers_of_ecdsa_have_one_encoding() -> None:
    """DER, and integers that are longer than necessary, are other spellings of a signature."""
    signature = _PASSKEY.sign(MESSAGE)
    assert isinstance(signature.proof, tuple)
    r, s = signature.proof
    spellings = {
        "as SSH has it": (encode_mpint(r) + encode_mpint(s), True),
        "padded": (encode_string(b"\0\0" + r.to_bytes(32, "big")) + encode_mpint(s), False),
        "negative": (encode_string(b"\xff" + r.to_bytes(32, "big")) + encode_mpint(s), False),
        "zero": (encode_mpint(0) + encode_mpint(s), False),
        "with more behind": (encode_mpint(r) + encode_mpint(s) + b"\0", False),
    }
    for spelled, wanted in spellings.values():
        inner = encode_strings(SK_ECDSA, spelled) + bytes([5]) + (7).to_bytes(4, "big")
        assert accepted(forged(signature.key, inner), signature.key) is wanted


def test_a_reserved_part_which_nothing_signs_is_refused() -> None:
    signature = _PASSKEY.sign(MESSAGE)
    assert isinstance(signature.proof, tuple)
    r, s = signature.proof
    inner = encode_strings(SK_ECDSA, encode_mpint(r) + encode_mpint(s)) + bytes([5]) + (7).to_bytes(4, "big")
    assert accepted(forged(signature.key, inner), signature.key)
    with pytest.raises(SignatureFormatError):
        parse_signature(forged(signature.key, inner, reserved=b"x"))
    with pytest.raises(SignatureFormatError):
        parse_signature(forged(signature.key, inner, hash_name="sha1"))


def test_a_passkeys_signature_is_none_of_a_file_key_with_the_same_point() -> None:
    signature = _PASSKEY.assertion(MESSAGE)
    plain = parse_public_key(encode_key("ecdsa-sha2-nistp256", signature.key.material))
    assert plain.material == signature.key.material
    assert not verify(signature, plain, REVIEW_NAMESPACE, MESSAGE)
    with pytest.raises(SignatureFormatError):
        parse_signature(write_signature(dataclasses.replace(signature, key=plain)))


ASSERTIONS: Final = {
    "another type": {"kind": "webauthn.create"},
    "another challenge": {"challenge": b"other"},
    "the challenge of another namespace": {"challenge": signed_data(REVIEWERS_NAMESPACE, "sha256", MESSAGE)},
    "attested data": {"flags": 0x45},
    "extensions without the flag": {"extensions": b"\xa0"},
    "the flag without extensions": {"flags": 0x85},
    "a quote in the origin": {"origin": 'https://x","a":"'},
}


@pytest.mark.parametrize("name", ASSERTIONS)
def test_neither_takes_an_assertion_with(name: str, tmp_path: Path) -> None:
    signature = _PASSKEY.assertion(MESSAGE, **ASSERTIONS[name])  # type: ignore[arg-type]  # each as named
    assert not verify(signature, signature.key, REVIEW_NAMESPACE, MESSAGE)
    text = write_signature(signature)
    assert not keygen_verifies(tmp_path, entry_line("carol", signature.key), "carol", text, MESSAGE)


def test_what_a_security_key_signed_is_no_assertion_and_the_other_way_round() -> None:
    plain, browser = _PASSKEY.sign(MESSAGE), _PASSKEY.assertion(MESSAGE)
    crossed = dataclasses.replace(browser, algorithm=SK_ECDSA, assertion=None)
    assert not verify(crossed, crossed.key, REVIEW_NAMESPACE, MESSAGE)
    crossed = dataclasses.replace(plain, algorithm=browser.algorithm, assertion=browser.assertion)
    assert not verify(crossed, crossed.key, REVIEW_NAMESPACE, MESSAGE)
    assert plain.touch is not None
    assert plain.touch.flags & USER_PRESENT


def test_a_compressed_point_is_another_spelling_and_is_refused() -> None:
    point = _PASSKEY.public.material
    short = bytes([2 + (point[-1] & 1)]) + point[1:33]
    with pytest.raises(PublicKeyError):
        parse_public_key(encode_key(SK_ECDSA, short, "ssh:"))
    with pytest.raises(PublicKeyError):
        parse_public_key(encode_key("ecdsa-sha2-nistp256", point[:-1] + bytes([point[-1] ^ 1])))


def test_each_length_of_a_signature_is_read_as_it_is_written() -> None:
    """A line may end before the padding, so that the last one is padding alone."""
    for size in range(80):
        signature = _PASSKEY.assertion(MESSAGE, more=f',"x":"{"y" * size}"')
        assert parse_signature(write_signature(signature)) == signature
