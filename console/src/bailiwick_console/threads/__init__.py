"""What a page must not wait for: calls of the API server, long work, and the files that it reads.

Holds: it is bounded in number, and its threads are daemons, so that nothing slow keeps anybody's terminal.
"""
