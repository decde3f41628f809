"""The commands of `audit`, one module a verb. They work on files, and need no cluster unless a flag says so."""
