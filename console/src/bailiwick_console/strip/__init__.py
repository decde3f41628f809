"""The evidence strip: on every page, whether guards and logs are as they must be, as far as the person may read it.

Standing: below `visits`. Holds: what is not known is said not to be, and never taken for good.
"""
