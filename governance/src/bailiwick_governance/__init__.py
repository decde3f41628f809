"""Access governance: approvals and their reviews, who can do what, what was decided, what is unused; as one person.

Standing: under the command line and the console, which show it and both act as the person who uses them; above the
engine, evidence and regions. Holds: nothing here reads flags, a terminal or a page; it asks the API server with the
credentials of one person, and what a person has to know is a value or a `UserError`.
"""
