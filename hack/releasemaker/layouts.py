"""OCI image layouts in a tar file: what registries hold, before there is a registry.

Holds: a digest here is the digest in every registry that the layout is copied to, since manifests are copied as bytes.
"""

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from releasemaker.archives import Entry, tar
from releasemaker.errors import ReleaseError

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
NAME: Final = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Blob:
    """Some bytes and what they are."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """Their digest, as registries write it."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def descriptor(self) -> dict[str, Any]:
        """What a manifest says of them."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.content)}


def canonical(value: object) -> bytes:
    """Return JSON whose bytes depend on nothing but the value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def manifest(config: Blob, layers: Sequence[Blob], annotations: Mapping[str, str]) -> Blob:
    """Return the manifest of an artefact."""
    content = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": config.descriptor,
        "layers": [layer.descriptor for layer in layers],
        "annotations": dict(annotations),
    }
    return Blob(MANIFEST, canonical(content))


def layout(top: Blob, tag: str, blobs: Sequence[Blob], created: int) -> bytes:
    """Return a tar archive of an OCI layout that holds one manifest under a tag."""
    index = {"schemaVersion": 2, "manifests": [{**top.descriptor, "annotations": {NAME: tag}}]}
    entries = {
        "oci-layout": Entry(canonical({"imageLayoutVersion": "1.0.0"})),
        "index.json": Entry(canonical(index)),
        **{f"blobs/{blob.digest.replace(':', '/')}": Entry(blob.content) for blob in (top, *blobs)},
    }
    return tar(entries, created)


def layout_digest(archive: Path) -> str:
    """Return the digest of the one manifest of a layout. Raises `ReleaseError` where the archive is none."""
    try:
        with tarfile.open(archive) as files:
            index = files.extractfile("index.json")
            found = json.load(index)["manifests"] if index else []
            return str(found[0]["digest"])
    except (tarfile.TarError, KeyError, IndexError, ValueError) as error:
        raise ReleaseError(f"{archive.name} is no OCI layout with one manifest: {error}") from error
