"""Formats in which reports are printed for CI: SARIF and JUnit XML. Markdown is in `bailiwick_governance`.

Holds: a format knows nothing of what is reported, and prints nothing.
"""
