"""Approval grants as people see them: as a row, as facts, as steps to review; and what a review sends.

Standing: under the commands and the console, which show the same. Holds: every text of others is escaped.
"""
