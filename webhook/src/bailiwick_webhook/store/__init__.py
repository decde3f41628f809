"""What the decision point knows of the cluster: lists and watches of its own, and what they are compiled to."""
