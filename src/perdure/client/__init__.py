"""Start, follow, list, decide and cancel runs, from any process. Never loads LangGraph.

```python
client = await perdure.client.connect()
run = await client.start("support", {"message": "...", "customer": "ann@example.com"})
print(await run.result())
```
"""

from perdure.client.connect import Target, connect, find_target, quiet_runtime
from perdure.client.exit import run_main
from perdure.client.failures import Failure
from perdure.client.handle import RunHandle
from perdure.client.index import add_attributes, missing_attributes
from perdure.client.records import Inbox, RunStatus, RunSummary, Unasked, Waiting
from perdure.client.runs import Client
from perdure.client.stream import End, Event
from perdure.client.timeline import Asked, Call, Happening, Timeline
from perdure.client.upkeep import Deleted, Heap, Sweep
from perdure.core.merging import Part, Reset

__all__ = [
    "Asked",
    "Call",
    "Client",
    "Deleted",
    "End",
    "Event",
    "Failure",
    "Happening",
    "Heap",
    "Inbox",
    "Part",
    "Reset",
    "RunHandle",
    "RunStatus",
    "RunSummary",
    "Sweep",
    "Target",
    "Timeline",
    "Unasked",
    "Waiting",
    "add_attributes",
    "connect",
    "find_target",
    "missing_attributes",
    "quiet_runtime",
    "run_main",
]
