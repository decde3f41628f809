"""The health of an installation: whether guards and logs are as they must be, as far as a person may read it.

Standing: over `apiserver`; the console shows it on every page, and `fleet` of every cluster. Holds: what is not known
is said not to be, and never taken for good.
"""
