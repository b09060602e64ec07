"""Files on disk: the home directory, the identity key, the contacts, the user's choices."""
