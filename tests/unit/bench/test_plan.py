"""What a suite needs, and in which order."""

from bench.runner.plan import Task, floor_gold, matching, measuring, missing, needs, steps, with_needs
from bench.suite import Suite

SUITE = Suite(
    name="s",
    title="t",
    dataset="digits",
    golds=3,
    seeds=(0, 1),
    forget_sets={"easy": {"kind": "random"}, "worst": {"kind": "worst-case"}},
    methods={"tmu": {}, "finetune": {}, "tmu/x": {"only_on": ["worst"]}, "ssd": {"skip_on": ["worst"]}},
    stream={"deletions": 2, "share": 0.1, "seeds": (1,), "methods": ("finetune",)},
)


def cells(tasks):
    return [cell for task in tasks for cell in task.cells]


def test_forget_sets_then_rows_then_seeds_and_the_stream_last():
    found = [task.forget for task in measuring(SUITE)]
    assert found == sorted(found, key=["easy", "worst", "stream/01", "stream/02"].index)
    rows = [(task.row, task.number) for task in measuring(SUITE) if task.kind == "method" and task.forget == "easy"]
    assert rows == [(row, seed) for row in ("tmu", "finetune", "ssd") for seed in (0, 1)]
    assert ("worst", "tmu/x", 0) in cells(measuring(SUITE))
    assert ("worst", "ssd", 0) not in cells(measuring(SUITE))
    assert steps(SUITE) == ["stream/01", "stream/02"]


def test_every_need_comes_before_its_task():
    ordered = list(with_needs(SUITE, measuring(SUITE)))
    for place, task in enumerate(ordered):
        assert all(ordered.index(need) < place for need in needs(SUITE, task))


def test_models_that_only_finished_cells_need_are_not_made():
    wanted = measuring(SUITE)
    stored = {cell for cell in cells(wanted) if cell != ("easy", "finetune", 1)}
    planned = with_needs(SUITE, missing(wanted, stored))
    assert Task("original", number=1) in planned
    assert not {Task("original", number=0), Task("twin", number=1), Task("crossfit")} & set(planned)
    assert {task.forget for task in planned if task.kind == "gold"} == {"easy"}
    assert missing(wanted, set(cells(wanted))) == []


def test_a_stored_mask_needs_no_cross_fit():
    assert needs(SUITE, Task("forget", "worst")) == [Task("crossfit")]
    assert needs(SUITE, Task("forget", "worst"), drawn={"worst"}) == []
    assert needs(SUITE, Task("forget", "easy")) == []


def test_only_methods_with_a_twin_wait_for_it():
    assert Task("twin", number=0) in needs(SUITE, Task("method", "easy", "tmu", 0))
    assert Task("twin", number=0) not in needs(SUITE, Task("method", "easy", "finetune", 0))


def test_a_deletion_of_the_stream_starts_from_the_one_before():
    before = Task("method", "stream/01", "finetune", 1)
    assert before in needs(SUITE, Task("method", "stream/02", "finetune", 1))
    assert not any(task.kind == "method" for task in needs(SUITE, before))


def test_the_floor_goes_round_the_golds():
    assert [floor_gold(SUITE, "easy", seed) for seed in range(4)] == [0, 1, 2, 0]
    assert [floor_gold(SUITE, "stream/01", seed) for seed in range(3)] == [0, 1, 0]


def test_cells_are_chosen_by_pattern():
    chosen = matching(measuring(SUITE), ["easy/tmu*/1", "*/gold/0"])
    assert {(task.kind, task.forget, task.number) for task in chosen} == {
        ("method", "easy", 1),
        ("controls", "easy", 0),
        ("controls", "worst", 0),
    }
    assert matching(measuring(SUITE), []) == measuring(SUITE)
