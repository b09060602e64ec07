"""What stays on disk: the home directory, the identity key, the people who are known."""
