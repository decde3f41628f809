"""Formats in which reports are printed for others: Markdown for a review, SARIF and JUnit XML for CI.

Holds: nothing of what is told is known here, and nothing is printed.
"""
