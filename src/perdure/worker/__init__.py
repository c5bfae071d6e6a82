"""The assembly point: registry, host, Temporal plugin, guard."""
