"""What a log comes to in a period: calls as they are read, counted in memory that does not grow with them.

Standing: under the report. Holds: pure; nothing is judged and nothing is escaped here.
"""
