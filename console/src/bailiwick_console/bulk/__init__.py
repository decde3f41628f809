"""Several grants at once: denied, or taken back. Never approved: a yes is of one call that somebody has read.

Standing: beside `reviewpage`, which is the page of one. Holds: each is denied exactly as
it was shown, or not at all; it is taken back however it stands, if it is the one that was shown.
"""
