"""Every error Perdure raises, sorted by who must act.

```
PerdureError
├── UsageError                  the developer: code or call must change
│   ├── NameTaken               two different models or tools share a name
│   ├── UnknownAgent            no agent of that name is registered
│   ├── UnknownModel            a run used a model that this worker does not know
│   ├── UnknownTool             a run used a tool that this worker does not know
│   ├── UnknownNode             a node activity that this worker cannot find
│   ├── TooDeep                 agents call one another without an end
│   ├── NotAGraph               the registered thing is not a LangGraph graph
│   ├── AppFailed               the app file could not be loaded
│   ├── BadInput                a run's input has the wrong shape
│   ├── BadOption               an option has an impossible value
│   ├── SyncCall                a sync node called a model or a tool
│   ├── ImpureNode              a node did I/O, or read clock or chance
│   ├── Unserializable          a value cannot cross a process border
│   ├── NotInRun                called outside the place it is made for
│   ├── MissingExtra            an optional dependency is not installed
│   └── Incompatible            an installed library lacks what Perdure relies on
├── LimitExceeded               a size the server does not take
│   └── PayloadTooLarge
├── CallFailed                  a provider or a tool failed for good
│   ├── ModelFailed
│   ├── ToolFailed
│   ├── ToolServerFailed        an MCP server could not be asked for its tools
│   ├── NodeFailed              a node of the graph raised
│   └── StorageFailed           long-term memory, a thread or a blob could not be read or written
│       ├── BlobMissing         the blob store does not hold a large value
│       └── BlobBroken          the blob store holds other bytes than were put
├── ModelMistake                the model kept answering what cannot be used
├── EffectUnknown               an effect may have happened: a person must look
├── Refused                     a decision was not accepted
│   ├── BadDecision             wrong shape or values
│   ├── AlreadyDecided
│   ├── NothingWaiting
│   ├── RunBusy                 its state cannot be changed while a node runs
│   └── NotAllowed              not this kind of decision, or not by this person
├── RunError                    a run is not what the caller expected
│   ├── RunExists
│   ├── RunNotFound
│   ├── RunFailed
│   ├── ThreadBusy              another run holds the thread
│   ├── PiecesLost              a call asked its run for its own parts, in vain
│   └── ApprovalExpired         nobody decided in time and the question says: fail
├── ReplayFailed                a recorded history does not replay on today's code
└── Unavailable                 the operator: something must be started or freed
    ├── ServerUnavailable
    ├── NewerWire               a newer Perdure wrote a call than this worker's
    ├── StorageUnavailable      a database or a blob store cannot be opened, written or reached
    ├── KeyMissing              a value was encrypted with a key that this process lacks
    ├── Undecryptable           a value does not decrypt: another key of that id, or changed
    └── PortTaken
```

Each class has a stable `code`, which is also the `type` of the Temporal failure that
carries it. The codes are listed in `docs/reference/errors.md`.
"""

from typing import ClassVar


class PerdureError(Exception):
    """Base of all errors of Perdure."""

    code: ClassVar[str] = "perdure"


class UsageError(PerdureError):
    """The code or the call must change; trying again does not help."""

    code = "usage"


class NameTaken(UsageError):
    """Two different models, tools or agents were declared under one name."""

    code = "name_taken"


class UnknownAgent(UsageError):
    """No agent of that name is registered on the worker."""

    code = "unknown_agent"


class UnknownModel(UsageError):
    """A run used a model that the worker does not know."""

    code = "unknown_model"


class UnknownTool(UsageError):
    """A run used a tool that the worker does not know."""

    code = "unknown_tool"


class UnknownNode(UsageError):
    """A run asked for a node that the worker cannot find."""

    code = "unknown_node"


class TooDeep(UsageError):
    """Agents call one another as tools, deeper than is allowed."""

    code = "too_deep"


class NotAGraph(UsageError):
    """What was registered as an agent is not a LangGraph graph."""

    code = "not_a_graph"


class AppFailed(UsageError):
    """The app file could not be found or loaded, or holds no agents."""

    code = "app_failed"


class BadInput(UsageError):
    """The input of a run has the wrong shape."""

    code = "bad_input"


class BadOption(UsageError):
    """An option has a value that cannot work."""

    code = "bad_option"


class SyncCall(UsageError):
    """A sync node called a model or a tool inside a run."""

    code = "sync_call"


class ImpureNode(UsageError):
    """A node did I/O, started a thread, or read the clock or chance."""

    code = "impure_node"


class Unserializable(UsageError):
    """A value cannot be written as JSON for another process."""

    code = "unserializable"


class NotInRun(UsageError):
    """A function was called outside the place it is made for."""

    code = "not_in_run"


class MissingExtra(UsageError, ImportError):
    """An optional dependency is not installed."""

    code = "missing_extra"


class Incompatible(UsageError):
    """An installed library lacks a name that Perdure relies on."""

    code = "incompatible"


class LimitExceeded(PerdureError):
    """Something is larger than what can be carried."""

    code = "limit"


class PayloadTooLarge(LimitExceeded):
    """One value is larger than the server takes."""

    code = "payload_too_large"


class CallFailed(PerdureError):
    """A call to the outside failed for good."""

    code = "call_failed"
    original: Exception | None = None
    """The exception that stands for it inside a graph, of the class that was raised."""


class ModelFailed(CallFailed):
    """A model call failed for good."""

    code = "model_failed"


class ToolFailed(CallFailed):
    """A tool call failed for good."""

    code = "tool_failed"


class ToolServerFailed(CallFailed):
    """An MCP server could not be asked for its tools."""

    code = "tool_server_failed"


class NodeFailed(CallFailed):
    """A node of the graph raised."""

    code = "node_failed"


class StorageFailed(CallFailed):
    """Long-term memory, a thread or a blob could not be read or written."""

    code = "storage_failed"


class BlobMissing(StorageFailed):
    """The blob store does not hold a large value that a run refers to."""

    code = "blob_missing"


class BlobBroken(StorageFailed):
    """The blob store holds other bytes than those that were put."""

    code = "blob_broken"


class ModelMistake(PerdureError):
    """The model kept answering what cannot be used, told so each time."""

    code = "model_mistake"


class EffectUnknown(PerdureError):
    """An effect may or may not have happened; a person must look."""

    code = "effect_unknown"


class Refused(PerdureError):
    """A decision was refused; nothing changed and the run goes on waiting."""

    code = "refused"


class BadDecision(Refused):
    """The decision has the wrong shape or values."""

    code = "bad_decision"


class AlreadyDecided(Refused):
    """Somebody, or the deadline, decided before."""

    code = "already_decided"


class NothingWaiting(Refused):
    """The run has no such open question."""

    code = "nothing_waiting"


class RunBusy(Refused):
    """The run's state cannot be changed while a node is running."""

    code = "run_busy"


class NotAllowed(Refused):
    """This kind of decision, or this person, is not allowed here."""

    code = "not_allowed"


class RunError(PerdureError):
    """A run is not what the caller expected."""

    code = "run"


class RunExists(RunError):
    """A run of that id is there already."""

    code = "run_exists"


class RunNotFound(RunError):
    """There is no run of that id."""

    code = "run_not_found"


class RunFailed(RunError):
    """The run ended without a result."""

    code = "run_failed"


class ThreadBusy(RunError):
    """Another run holds the thread."""

    code = "thread_busy"


class PiecesLost(RunError):
    """A call asked its run for what it refers to, and the run is over or waits no more."""

    code = "pieces_lost"


class ApprovalExpired(RunError):
    """Nobody decided in time, and the question says that the run then fails."""

    code = "approval_expired"


class ReplayFailed(PerdureError):
    """A recorded history does not replay: the code decides otherwise than it did then."""

    code = "replay_failed"


class Unavailable(PerdureError):
    """Something that must run does not."""

    code = "unavailable"


class ServerUnavailable(Unavailable):
    """No Temporal server answers at the address."""

    code = "server_unavailable"


class StorageUnavailable(Unavailable):
    """A database or a blob store cannot be opened, written or reached."""

    code = "storage_unavailable"


class NewerWire(Unavailable):
    """A newer Perdure wrote a call, in a form that this worker does not know."""

    code = "newer_wire"


class KeyMissing(Unavailable):
    """A value was encrypted with a key that this process does not have."""

    code = "key_missing"


class Undecryptable(Unavailable):
    """A value does not decrypt: the key of that id is another one, or the bytes were changed."""

    code = "undecryptable"


class PortTaken(Unavailable):
    """Another program listens on the port."""

    code = "port_taken"
