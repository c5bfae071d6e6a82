"""A model for the gallery that needs no key and no network: rules, not an LLM."""
