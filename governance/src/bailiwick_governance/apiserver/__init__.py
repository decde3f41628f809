"""The API server, asked as one person: the client, and who that person is.

Standing: under all that needs a cluster. Holds: nothing is asked with more rights than the person has.
"""
