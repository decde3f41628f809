"""What makes a release: from one commit to the files that people pull, verify and install."""
