"""What must hold after a deletion that a fault hit: each check is a function from facts to what is wrong, or None."""

from collections import Counter
from collections.abc import Callable

from tests.chaos.cells import STATES
from tests.chaos.facts import Facts

Check = Callable[[Facts], str | None]


def completed_once(facts: Facts) -> str | None:
    """The request is `completed`, and became so once."""
    times = facts.events.count("completed")
    return None if (facts.state, times) == ("completed", 1) else f"state {facts.state}, {times} times completed"


def every_stage_once(facts: Facts) -> str | None:
    """The log has every stage of the request, each once."""
    counts = {stage: facts.events.count(stage) for stage in STATES}
    wrong = {stage: count for stage, count in counts.items() if count != 1}
    return f"stages in the log: {wrong}" if wrong else None


def one_attempt_succeeded(facts: Facts) -> str | None:
    """The last attempt completed, those before did not, and none is open."""
    *earlier, last = facts.attempts or [None]
    if last == "completed" and set(earlier) <= {"superseded", "interrupted"}:
        return None
    return f"attempts ended as {facts.attempts}"


def chain_holds(facts: Facts) -> str | None:
    """The ledger's log is whole and says what the requests' states say."""
    return facts.chain


def one_data_revision(facts: Facts) -> str | None:
    """One new revision: on record once, named by data.dvc, and what lies in the workspace."""
    if facts.evidence != [f"dvc:{facts.revision}"]:
        return f"revisions on record: {facts.evidence}, in the workspace: {facts.revision}"
    if facts.pointer != facts.revision or facts.revision == facts.before.revision:
        return f"data.dvc names {facts.pointer}, the data are {facts.revision}, before {facts.before.revision}"
    return None


def only_the_person_is_gone(facts: Facts) -> str | None:
    """The person has no records left; everybody else has as many as before."""
    wanted = {key: count for key, count in facts.before.people.items() if key != facts.person}
    if facts.person not in facts.before.people:
        return "the person was not there before"
    if facts.people == wanted:
        return None
    wrong = {key for key in facts.people.keys() | wanted.keys() if facts.people.get(key) != wanted.get(key)}
    return f"{len(wrong)} people have another number of records than they should"


def no_version_twice(facts: Facts) -> str | None:
    """No two versions have the same role, weights and data revision; the new revision has one unlearned model."""
    counts = Counter((model.role, model.weights, model.revision) for model in facts.models)
    twice = [f"{role} {weights[:8]}" for (role, weights, _), count in counts.items() if count > 1]
    if twice:
        return f"registered more than once: {', '.join(sorted(twice))}"
    made = Counter(model.role for model in facts.models if model.revision == facts.revision)
    return None if (made["unlearned"], made["gold"]) == (1, 2) else f"models of the new revision: {dict(made)}"


def champion_is_the_last_cut_over(facts: Facts) -> str | None:
    """The alias, the ledger's last cut-over and the data agree; this batch cut over once; the one before is blocked."""
    found = next((model for model in facts.models if model.version == facts.champion), None)
    if found is None or facts.serves is None:
        return f"champion {facts.champion}, cut-over {facts.serves}"
    if (facts.serves["version"], facts.serves["weights"]) != (found.version, found.weights):
        return f"champion is version {found.version}, the last cut-over was to {facts.serves['version']}"
    if found.revision != facts.revision or found.blocked:
        return f"champion is of revision {found.revision}, blocked: {found.blocked}"
    if facts.cut_overs != 1:
        return f"{facts.cut_overs} cut-overs of this batch"
    old = next((model for model in facts.models if model.version == facts.before.champion), None)
    return None if old is None or old.blocked else f"version {old.version} was superseded and is not blocked"


def certified_and_sealed(facts: Facts) -> str | None:
    """The certificate is there and verifies, and the bundle of evidence is whole."""
    return facts.certificate or facts.bundle


def nothing_runs(facts: Facts) -> str | None:
    """No run of Prefect or MLflow still counts as at work."""
    return "; ".join(facts.running) or None


def journal_is_closed(facts: Facts) -> str | None:
    """The workspace's journal has the batch as completed, and no other entry open."""
    if (facts.journal, facts.unfinished) == ("completed", 0):
        return None
    return f"journal: {facts.journal}, {facts.unfinished} unfinished"


def nothing_is_left_over(facts: Facts) -> str | None:
    """No half-built folder and no unpacked old revision, in which the person would live on."""
    return f"left over: {', '.join(facts.leftovers[:5])}" if facts.leftovers else None


CHECKS: tuple[Check, ...] = (
    completed_once,
    every_stage_once,
    one_attempt_succeeded,
    chain_holds,
    one_data_revision,
    only_the_person_is_gone,
    no_version_twice,
    champion_is_the_last_cut_over,
    certified_and_sealed,
    nothing_runs,
    journal_is_closed,
    nothing_is_left_over,
)


def judge(facts: Facts) -> dict[str, str | None]:
    """Every check by name: None where it holds, else what is wrong."""
    return {check.__name__: check(facts) for check in CHECKS}
