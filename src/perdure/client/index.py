"""The search attributes by which runs are found: are they there, and how to add them."""

from dataclasses import dataclass
from datetime import timedelta

import temporalio.client
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
)
from temporalio.service import RPCError

from perdure.client.poll import until
from perdure.core.names import (
    AGENT_ATTRIBUTE,
    AGENT_WORKFLOW,
    INT_ATTRIBUTES,
    KEYWORD_ATTRIBUTES,
    STATUS_ATTRIBUTE,
    TENANT_ATTRIBUTE,
    WAITING_ATTRIBUTE,
)
from perdure.errors import Unavailable

AGENT = SearchAttributeKey.for_keyword(AGENT_ATTRIBUTE)
STATUS = SearchAttributeKey.for_keyword(STATUS_ATTRIBUTE)
TENANT = SearchAttributeKey.for_keyword(TENANT_ATTRIBUTE)
WAITING = SearchAttributeKey.for_int(WAITING_ATTRIBUTE)
TYPES = {
    **dict.fromkeys(KEYWORD_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
    **dict.fromkeys(INT_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_INT),
}
_PROBE = timedelta(seconds=5)


def ours(*, indexed: bool) -> str:
    """Write the list filter of Perdure's runs; an index also knows the hand-written ones."""
    plain = f"WorkflowType = '{AGENT_WORKFLOW}'"
    return f"({plain} OR {AGENT_ATTRIBUTE} IS NOT NULL)" if indexed else plain


@dataclass
class Probe:
    """What is known of a server's search attributes; asked for once."""

    missing: list[str] | None = None
    known: bool = False


async def missing_attributes(client: temporalio.client.Client) -> list[str] | None:
    """List the attributes that the namespace lacks; None if the server cannot tell.

    Temporal's time-skipping test server cannot. An attribute of another type counts as missing.
    """
    request = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        found = await client.operator_service.list_search_attributes(request, timeout=_PROBE)
    except RPCError:
        return None
    return [name for name, kind in TYPES.items() if found.custom_attributes.get(name) != kind]


async def add_attributes(
    client: temporalio.client.Client, *, within: timedelta = timedelta(seconds=20)
) -> list[str]:
    """Create the missing attributes and wait until they can be used; returns their names.

    Raises:
        Unavailable: The server refused, or they did not appear in time.
    """
    missing = await missing_attributes(client)
    if not missing:
        return []
    request = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes={name: TYPES[name] for name in missing}
    )
    try:
        await client.operator_service.add_search_attributes(request, timeout=_PROBE)
    except RPCError as error:
        names = " ".join(f"--name {n} --type {_word(n)}" for n in missing)
        raise Unavailable(
            f"the server does not create search attributes ({error.message}); have an "
            f"administrator run: temporal operator search-attribute create {names}"
        ) from error

    async def settled() -> bool | None:
        return None if await missing_attributes(client) else True

    if not await until(settled, within=within):
        raise Unavailable(
            f"search attributes {', '.join(missing)} were created but did not appear within "
            f"{within.total_seconds():g} s; run `perdure doctor` again in a minute"
        )
    return missing


def at_start(agent: str, tenant: str | None) -> TypedSearchAttributes:
    """Return what a new run is found by before its first step."""
    pairs: list[SearchAttributePair[str] | SearchAttributePair[int]] = [
        SearchAttributePair(AGENT, agent),
        SearchAttributePair(STATUS, "running"),
        SearchAttributePair(WAITING, 0),
    ]
    if tenant is not None:
        pairs.append(SearchAttributePair(TENANT, tenant))
    return TypedSearchAttributes(pairs)


def _word(name: str) -> str:
    return "Int" if name in INT_ATTRIBUTES else "Keyword"
