"""Benchmarks: every claim about speed, measured beside what it is compared with, in one run. `make bench` starts them.

Standing: outside of the product; imports it as a user would. Nothing here is a timed test, and nothing but ratios of
one run is ever claimed.
"""
