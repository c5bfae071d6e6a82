"""Worker code that touches the world: one model call, one tool call. Never replayed."""
