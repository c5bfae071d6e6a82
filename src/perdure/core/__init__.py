"""Values and decisions. Pure: standard library only, no clock, no chance, no I/O."""
