"""What lies in the images of a release, read out of their layers."""

import tarfile

from release.conftest import MadeRelease
from releasemaker import imageindex

# How a layer says that a program has rights of its own, whoever starts it.
CAPABILITIES = "SCHILY.xattr.security.capability"


def test_no_file_lends_the_rights_of_its_owner_and_none_has_rights_of_its_own(
    release: MadeRelease, images: dict[str, str]
) -> None:
    for name in images:
        with imageindex.open_layout(release.file(f"{name}-*.oci.tar")) as layout:
            for word, image in layout.images().items():
                members = 0
                for descriptor in image.manifest["layers"]:
                    with tarfile.open(fileobj=layout.blob(descriptor["digest"]), mode="r|*") as layer:
                        for member in layer:
                            members += 1
                            where = f"{name}, {word}: {member.name}"
                            assert not member.mode & 0o6000, where
                            assert CAPABILITIES not in member.pax_headers, where
                # The base and what is on top of it were really read.
                assert members > 5_000, (name, word)
