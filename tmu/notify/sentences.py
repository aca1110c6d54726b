"""What happened, in a sentence for people. Names requests by their ids, and nobody."""

from typing import Any

_WORDS = {
    "received": "was received",
    "held": "is under a legal hold: nothing is erased until it is released",
    "denied": "was denied",
    "cancelled": "was cancelled",
    "duplicate": "has ended: everything that it names was erased for another request",
    "awaiting_approval": "waits for the approval of its plan",
    "approved": "was approved",
    "completed": "is completed",
    "failed": "failed: a person must decide what to do",
    "partially_failed": "failed in part: a person must decide what to do",
}


def sentence(message: dict[str, Any]) -> str:
    """One plain sentence for a message, whatever its event is."""
    event, facts = message["event"], message["facts"]
    subject = f"Request {message['request']}" if message["request"] else "The deletion service"
    if event in _WORDS:
        return f"{subject} {_WORDS[event]}."
    if event == "deadline_warning":
        if facts["level"] >= 100:
            return f"{subject} is overdue since {facts['due']}."
        return f"{subject} has used up {facts['level']} % of its time; it is due on {facts['due']}."
    if event == "will_miss":
        return f"{subject} will miss its date, {facts['due']}: at the current queue it ends on {facts['finishes']}."
    if event == "cut_over":
        return f"{subject} has put version {facts['version']} of the model of {facts['dataset']} into service."
    if event == "models_withdrawn":
        ended = ", ".join(f"{each['version']} ({each['action']})" for each in facts["versions"])
        return (
            f"{subject} has withdrawn versions of the model of {facts['dataset']}: {ended}. Do not use them any more."
        )
    if event == "verification_failed":
        return f"{subject} reports a failed verification: {', '.join(facts.get('broken', ())) or 'see its run'}."
    if event == "log_head":
        return f"{subject} reports the head of its audit log: {message.get('head')}."
    return f"{subject}: {event}."
