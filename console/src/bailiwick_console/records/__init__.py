"""The decision records that the console was given: files of decision points and of the operator's ledger.

Holds: only files that were named when the console was started are ever opened, and never by what a browser sends; what
is damaged is shown with its file and line.
"""
