"""Compile: from the manifest of an EndpointPolicy to what a decision reads, or to the problems with their places.

Standing: above `policy`, beside `decision`. Holds: pure; admission, operator, decision point and command line compile
here.
"""
