"""Base64 as signed notes have it: RFC 4648 section 4, with padding, and nothing else accepted."""

import base64
import binascii


def encode_base64(held: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(held).decode()


def decode_base64(text: str) -> bytes | None:
    """Return the bytes; None if it is not base64, or not the one way to write them."""
    try:
        held = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return held if encode_base64(held) == text else None
