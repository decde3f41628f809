"""How answers read on terminal and page alike: audits, near misses, records and rights.

Standing: under the commands and the console. Holds: data only; every text of others is escaped.
"""
