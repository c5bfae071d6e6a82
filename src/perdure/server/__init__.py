"""HTTP surfaces, for the extra `server`."""
