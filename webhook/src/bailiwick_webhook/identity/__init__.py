"""Who asks, and who is asked about: proven by tokens, never by a word."""
