"""A support agent: it answers from a help centre, and a person approves every e-mail."""
