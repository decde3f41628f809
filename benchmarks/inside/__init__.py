"""Inside one process: what a decision costs, stage by stage, and what holds up the loop."""
