"""The public test kit: real servers and real workers, started and killed from a test."""

from perdure.testing.process import WorkerProcess
from perdure.testing.servers import DevServer, find_binary, free_port, time_skipping

__all__ = ["DevServer", "WorkerProcess", "find_binary", "free_port", "time_skipping"]
