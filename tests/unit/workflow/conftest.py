"""Fixtures of the workflow's unit tests."""

from unit.workflow.ends import ends

__all__ = ["ends"]
