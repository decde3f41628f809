"""Approval grants as the command line knows them: as a row, as facts, as steps to review, and what is sent.

Standing: under the commands and the console, which show the same. Holds: every text of others is escaped.
"""
