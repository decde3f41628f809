"""How answers are printed: audits, differences, near misses, records, rights and verdicts.

Standing: under the commands and the console. Holds: data only; every text of others is escaped.
"""
