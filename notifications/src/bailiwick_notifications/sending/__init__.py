"""How a notification leaves: CloudEvents over HTTP from here, the services of Apprise from a process of their own.

Holds: every attempt has a time limit; each connection is to an address that was checked; no redirect is followed.
Whatever goes wrong is a `DeliveryAttempt`, never an exception.
"""
