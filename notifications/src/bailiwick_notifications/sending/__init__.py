"""How a notification leaves: CloudEvents over HTTP from here, the services of Apprise from a process of their own.

Holds: every attempt has a time limit; each connection is to an address that was asked about; nobody is followed to
another place. Whatever goes wrong is an `Attempt`, never an exception.
"""
