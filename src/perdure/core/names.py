"""Names that cross a process border. Append only: histories hold them for ever."""

AGENT_WORKFLOW = "perdure.agent"
THREAD_WORKFLOW = "perdure.thread"
MODEL_ACTIVITY = "perdure.model"
TOOL_ACTIVITY = "perdure.tool"
AHEAD_ACTIVITY = "perdure.ahead"
NODE_ACTIVITY = "perdure.node"
STORE_ACTIVITY = "perdure.store"
TOOL_LIST_ACTIVITY = "perdure.mcp.tools"
LOAD_THREAD_ACTIVITY = "perdure.thread.load"
SAVE_THREAD_ACTIVITY = "perdure.thread.save"

DECIDE_UPDATE = "decide"
DECIDE_SIGNAL = "decide_later"
LINE_QUERY = "line"
CLAIM_UPDATE = "claim"
TURN_SIGNAL = "perdure.turn"
CHILD_SIGNAL = "child_asks"
UPDATE_STATE_UPDATE = "update_state"
STATUS_QUERY = "status"
STATE_QUERY = "state"
HISTORY_QUERY = "state_history"
CHECKPOINT_QUERY = "checkpoint"
QUESTIONS_QUERY = "questions"
PIECES_QUERY = "perdure.pieces"

AGENT_ATTRIBUTE = "PerdureAgent"
STATUS_ATTRIBUTE = "PerdureStatus"
WAITING_ATTRIBUTE = "PerdureWaiting"
TENANT_ATTRIBUTE = "PerdureTenant"
KEYWORD_ATTRIBUTES = (AGENT_ATTRIBUTE, STATUS_ATTRIBUTE, TENANT_ATTRIBUTE)
INT_ATTRIBUTES = (WAITING_ATTRIBUTE,)

QUESTIONS_MEMO = "perdure.questions"
AGENT_MEMO = "perdure.agent"
STARTED_MEMO = "perdure.started"
"""When the first execution of a run began, if there are several."""

BLOB_ENCODING = "perdure/blob"
"""The `encoding` of a payload that rests in a blob store."""
BLOB_NAME = "blob"
BLOB_SIZE = "size"
"""Of its metadata: the blob's name, and the bytes of the value."""

PREFIX = "perdure."
TASK_QUEUE = "perdure"
"""The task queue of workers and clients that name none."""


def is_own(name: str) -> bool:
    """Tell whether a workflow or an activity is one of Perdure's, not of the app."""
    return name.startswith(PREFIX)
