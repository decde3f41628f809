"""Benchmarks: every claim about speed, measured beside what it is compared with, in one run. `make bench` starts them.

Standing: outside of the product; imports it as a user would. From below: `rig` measures, `targets` is what is measured,
and `http`, `inside`, `tools` and `cluster` have the sections of the table. Holds: nothing here is a timed test, and
nothing but ratios of one run is ever claimed.
"""
