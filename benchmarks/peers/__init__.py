"""One module per subject; each runs the workload in a process of its own."""
