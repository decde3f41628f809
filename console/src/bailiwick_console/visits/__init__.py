"""Visits: which requests are let in, who asks, what they typed, and what was shown to them.

Standing: below every page. Holds: what is of one person alone is found here for each request, and kept nowhere else.
"""
