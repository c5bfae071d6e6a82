"""The plain models and tools of a test's graph: called where they are, unless asked otherwise."""

from perdure.workflow.found import Found, Part


class PlainParts(Found):
    """Lets a run call every plain model and tool in place. Workflow side."""

    def twin_of(self, part: Part) -> Part | None:
        """Return the part itself."""
        return part
