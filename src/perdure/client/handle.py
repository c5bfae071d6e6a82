"""A run that was started, for the calls that one needs next. Caller side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from perdure.client.records import RunStatus
from perdure.core.approvals import Decision
from perdure.core.jsons import Json, JsonObject


class Following(Protocol):
    """What a handle needs of the client."""

    async def result(self, run_id: str) -> Json:
        """Wait for the run's end."""
        ...

    async def status(self, run_id: str) -> RunStatus:
        """Tell where the run stands."""
        ...

    async def decide(self, run_id: str, decision: Decision | Mapping[str, Json]) -> JsonObject:
        """Answer an open question."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunHandle:
    """A run that was started, with the calls that one needs next."""

    client: Following
    run_id: str
    agent: str

    async def result(self) -> Json:
        """Wait for the run's end; see `Client.result`."""
        return await self.client.result(self.run_id)

    async def status(self) -> RunStatus:
        """Tell where the run stands; see `Client.status`."""
        return await self.client.status(self.run_id)

    async def decide(self, decision: Decision | Mapping[str, Json]) -> JsonObject:
        """Answer an open question of the run; see `Client.decide`."""
        return await self.client.decide(self.run_id, decision)
