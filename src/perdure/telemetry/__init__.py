"""What operators see from outside: spans (later: metrics and cost)."""
