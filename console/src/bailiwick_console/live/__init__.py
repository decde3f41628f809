"""Changes as they happen: a watch as the person, sent to their open pages as server-sent events.

Standing: beside `reviewpage`. Holds: a page that hears nothing asks by itself, as one without a script is loaded again.
"""
