"""Names that cross a process border. Append only: histories hold them for ever."""

AGENT_WORKFLOW = "perdure.agent"
MODEL_ACTIVITY = "perdure.model"
TOOL_ACTIVITY = "perdure.tool"

DECIDE_UPDATE = "decide"
DECIDE_SIGNAL = "decide_later"
STATUS_QUERY = "status"
QUESTIONS_QUERY = "questions"

AGENT_ATTRIBUTE = "PerdureAgent"
STATUS_ATTRIBUTE = "PerdureStatus"
WAITING_ATTRIBUTE = "PerdureWaiting"
TENANT_ATTRIBUTE = "PerdureTenant"
KEYWORD_ATTRIBUTES = (AGENT_ATTRIBUTE, STATUS_ATTRIBUTE, TENANT_ATTRIBUTE)
INT_ATTRIBUTES = (WAITING_ATTRIBUTE,)

QUESTIONS_MEMO = "perdure.questions"
AGENT_MEMO = "perdure.agent"

TASK_QUEUE = "perdure"
"""The task queue of workers and clients that name none."""
