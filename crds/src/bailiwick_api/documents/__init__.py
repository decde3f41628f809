"""YAML documents with positions, and the directories that hold them.

Standing: under whoever reads files of people. Holds: what is found wrong has its line and column.
"""
