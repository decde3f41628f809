"""Why a release is not made or not trusted, in words that say what to do."""


class ReleaseError(Exception):
    """Something that stops a release."""
