"""Where values rest: how they are written as JSON (later: chain, encryption, blob stores)."""
