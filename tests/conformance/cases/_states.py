"""States that many cases share."""

import operator
from typing import Annotated, Any

from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict


class Items(TypedDict, total=False):
    items: Annotated[list[Any], operator.add]
    n: int


def line(*nodes: Any, schema: Any = Items, **options: Any) -> StateGraph[Any, Any, Any, Any]:
    """Make a graph whose nodes run one after the other."""
    graph = StateGraph(schema, **options)
    graph.add_sequence([(node.__name__, node) for node in nodes])
    return graph.add_edge(START, nodes[0].__name__)
