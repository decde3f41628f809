"""Access governance: approvals and their reviews, who can do what, what was decided, what is unused; as one person.

Standing: under the command line and the console, which show it and both act as the person who uses them; above the
engine, evidence and regions. Holds: nothing here knows a page or a verb, though messages name flags of `kubectl
bailiwick`, which the console has none of; it asks the API server with the credentials of one person; a foreseen failure
is a `UserError`.
"""
