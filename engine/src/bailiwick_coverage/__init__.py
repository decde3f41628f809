"""Coverage: which calls of a cluster no decision point is asked about, and what would change that.

Standing: above regions; the command line shows what it finds, and the operator counts it. Holds: pure but for
`inventory`. Facts about a cluster go in, findings come out. What a policy decides is asked of the engine. What could
not be read is a finding, and never counts as protected.
"""
