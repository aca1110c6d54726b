"""References, verdicts without golds and a stream of people: from a suite's YAML to stored rows."""

import itertools

import numpy as np
import pytest
import torch

from bench import results
from bench.runner.cache import Cache
from bench.runner.ground import ground_file, load_ground
from bench.runner.lessons import PLAIN_POOL, pool_of, shares_lost, some_people
from bench.runner.made import Forgotten
from bench.runner.masks import forgotten
from bench.runner.models import Workshop
from bench.runner.plan import Task, measuring, needs, steps, stream_name, with_needs
from bench.runner.references import read_table, references
from bench.runner.start import Wish, start
from bench.suite import Suite
from bench.tables.cells import Cells
from bench.tables.stream import stream
from bench.tables.truth import truth
from tests.bench_runs import does_nothing
from tmu.compute import Here
from tmu.config import Seeds

SUITE = Suite.model_validate(
    {
        "name": "references-tiny-toy",
        "title": "t",
        "dataset": "digits",
        "layout": {"holdout": 0.2, "test": 0.4},
        "model": {"options": {"width": 4}},
        "train": {"epochs": 4, "batch_size": 32},
        "references": {"pairs": 2},
        "golds": 3,
        "seeds": [0],
        "forget_sets": {"some": {"kind": "random", "share": 0.1}},
        "methods": {
            "oracle-matching": {},
            "finetune": {"options": {"steps": 4}},
            "never-step": {"only_on": []},
        },
        "verdicts": {"sizes": [1, 3], "pairs": [1, 2], "requests": 6, "alone": 1},
        "stream": {
            "deletions": 3,
            "people": True,
            "first": 1,
            "measured": [1, 3],
            "seeds": [0],
            "methods": ["oracle-matching"],
        },
    }
)
ROWS = ("second gold", "original", "oracle-matching", "finetune", "never-step")
ONLY = ("some/*", "stream/*", *(f"verdict/some/{row}/*" for row in ROWS))


def wish(home, **given):
    return Wish(SUITE, jobs=1, home=home, device="cpu", backend=Here(), only=ONLY, **given)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    home = tmp_path_factory.mktemp("bench")
    return home, start(wish(home))


@pytest.fixture(scope="module")
def shop(measured):
    home, _ = measured
    return Workshop(SUITE, load_ground(ground_file(SUITE, home), "cpu"), Cache(home / SUITE.name), "cpu")


def stored(home, row, forget="some"):
    table = results.read(SUITE.name, wish(home).folder).to_pylist()
    return {each["metric"]: each["value"] for each in table if (each["forget_set"], each["method"]) == (forget, row)}


def test_everything_is_measured_and_a_second_run_does_nothing(measured, monkeypatch):
    home, summary = measured
    assert summary["failed"] == summary["skipped"] == {}
    assert summary["refused"] == []
    assert summary["complete"]
    assert does_nothing(wish(home), monkeypatch)


def test_the_table_holds_halves_by_person_and_no_network_knows_hold_out_or_test(shop):
    table = read_table(references(shop, 0).folder)
    rows, people = table["train"], shop.ground.people["train"]
    assert rows.keys.equal(shop.ground.train.keys)
    assert rows.seen.shape == (len(people), 4)
    for pair in range(2):
        assert (rows.seen[:, 2 * pair] ^ rows.seen[:, 2 * pair + 1]).all()
    for person in people.unique():
        assert len(rows.seen[people == person].unique(dim=0)) == 1
    assert not rows.seen[:, 0].equal(rows.seen[:, 2])
    for split in ("holdout", "test"):
        assert not table[split].seen.any()
        assert len(table[split]) == len(getattr(shop.ground, split))
    assert rows.inner.shape == rows.logp.shape


def test_networks_are_surer_of_what_they_learned(shop):
    rows = read_table(references(shop, 0).folder)["train"]
    margins = rows.margins()
    assert float(margins[rows.seen].mean()) > float(margins[~rows.seen].mean()) + 0.1


def test_another_original_has_other_references(shop):
    first, second = (references(shop, seed) for seed in (0, 1))
    assert first.folder != second.folder
    assert not read_table(first.folder)["train"].seen.equal(read_table(second.folder)["train"].seen)


def test_no_weights_of_a_reference_are_kept(shop):
    assert {path.name for path in references(shop, 0).folder.iterdir()} == {"run.json", "table.safetensors"}


def test_a_row_says_what_its_references_cost(measured):
    home, _ = measured
    found = stored(home, "oracle-matching")
    assert found["seconds_ratio_whole"] == pytest.approx(
        found["seconds_ratio_alone"] + found["seconds_ratio_references"]
    )
    assert found["seconds_ratio_references"] > 0.5
    assert "seconds_ratio_lessons" not in found
    assert "seconds_ratio_references" not in stored(home, "finetune")


def test_the_replay_pool_is_drawn_from_what_is_kept(shop):
    keys, kept = torch.arange(3 * PLAIN_POOL), torch.arange(3 * PLAIN_POOL) % 2 == 0
    pool = pool_of(keys, kept, Seeds.all(0))
    assert int(pool.sum()) == PLAIN_POOL
    assert not (pool & ~kept).any()
    assert pool.equal(pool_of(keys, kept, Seeds.all(0))) and not pool.equal(pool_of(keys, kept, Seeds.all(1)))
    assert pool_of(keys[:9], kept[:9], Seeds.all(0)).equal(kept[:9])


def test_the_shares_that_are_lost_are_by_class_and_of_all():
    labels, now = torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([1, 0, 0, 0, 1, 1]).bool()
    assert shares_lost(labels, Forgotten(now, now), 3).tolist() == [0.25, 1.0, 0.0, 0.5]
    gone = now | torch.tensor([0, 1, 1, 0, 0, 0]).bool()  # two are gone already: of what is left, more goes now
    assert shares_lost(labels, Forgotten(now, gone), 3).tolist() == [0.5, 1.0, 0.0, 0.75]


def test_twin_problems_are_posed_on_whole_people():
    people = torch.arange(40).repeat_interleave(5)
    chosen = some_people(people, 60, 0)
    assert int(chosen.sum()) == 60
    assert set(torch.bincount(people[chosen], minlength=40).tolist()) == {0, 5}
    assert not chosen.equal(some_people(people, 60, 1))
    assert some_people(people, 1000, 0).all()


def test_a_verdict_stands_beside_the_one_with_golds(measured):
    home, _ = measured
    for row in ROWS:
        found = stored(home, row, "verdict/some")
        for who in ("table", "golds"):
            assert sum(found[f"{who}/{said}"] for said in ("passed", "failed", "inconclusive")) == 1
        assert found["requests/1/2/count"] == found["requests/3/1/count"] == 6
        assert found["alone/3/2/count"] == 1
        assert found["seconds_ratio_audit"] > 0
        assert 0 <= found["people/found"] <= 1
    assert stored(home, "never-step") == {}  # a control of the verdicts alone


def test_the_page_of_verdicts_has_false_alarms_curve_and_agreement(measured):
    home, _ = measured
    cells = Cells.of(results.read(SUITE.name, wish(home).folder), "digits")
    text = "\n".join(truth(cells))
    assert "False alarms on honest retrains, aim 1 %: of the people" in text
    assert "| R = 1, all forget sets | 1 record | 3 records |" in text
    assert "Agreed: " in text and " of 5." in text
    assert cells.forget_sets() == ["some"]


def test_a_stream_of_people_deletes_one_person_at_a_time_by_one_table(measured, shop):
    home, _ = measured
    requests = [forgotten(shop, f"stream/{step:02d}", {}) for step in (1, 2, 3)]
    people = [shop.ground.people["train"][each.now].unique() for each in requests]
    assert [len(each) for each in people] == [1, 1, 1]
    assert len(torch.cat(people).unique()) == 3
    for before, after in itertools.pairwise(requests):
        assert (before.gone | after.now).equal(after.gone) and not (before.gone & after.now).any()
    assert requests[0].first is None and requests[2].first.equal(requests[0].now)
    tables = list((home / SUITE.name / "references").iterdir())
    assert len([table for table in tables if table == references(shop, 0).folder]) == 1


def test_a_stream_is_measured_where_it_is_asked_and_its_whole_cost_is_counted(measured):
    home, _ = measured
    cells = Cells.of(results.read(SUITE.name, wish(home).folder), "digits")
    assert cells.stream() == {1: "stream/01", 3: "stream/03"}
    first, last = (stored(home, "oracle-matching", name) for name in ("stream/01", "stream/03"))
    assert {"average_gap", "latest/average_gap", "first/average_gap"} <= last.keys()
    assert "first/average_gap" not in first
    assert sum(last[f"audits/{said}"] for said in ("passed", "failed", "inconclusive")) == 3
    assert last["seconds_ratio_total"] > last["seconds_ratio_references"] + last["seconds_ratio_audits"]
    assert first["seconds_ratio_total"] < last["seconds_ratio_total"]
    text = "\n".join(stream(cells))
    assert "audits so far" in text and "the first alone" in text


def test_golds_are_trained_where_the_stream_is_measured_alone():
    tasks = with_needs(SUITE, measuring(SUITE))
    assert steps(SUITE) == ["stream/01", "stream/03"]
    assert {task.forget for task in tasks if task.kind == "gold"} == {"some", "stream/01", "stream/03"}
    assert [task.forget for task in tasks if task.kind == "deletion"] == ["stream/02"]
    last = Task("method", "stream/03", "oracle-matching", 0)
    assert Task("deletion", "stream/02", "oracle-matching", 0) in needs(SUITE, last)
    long = SUITE.model_copy(update={"stream": SUITE.stream.model_copy(update={"deletions": 100, "measured": (100,)})})
    assert stream_name(long, 7) == "stream/007" and steps(long) == ["stream/100"]


def test_only_methods_with_references_wait_for_them():
    table, lessons = Task("references", number=0), Task("lessons", number=0)
    assert table in needs(SUITE, Task("method", "some", "oracle-matching", 0))
    assert lessons not in needs(SUITE, Task("method", "some", "oracle-matching", 0))
    assert table not in needs(SUITE, Task("method", "some", "finetune", 0))
    assert table in needs(SUITE, Task("verdict", "some", "finetune", 0))


def test_a_request_is_named_by_what_goes_and_what_has_gone():
    one, two = (torch.from_numpy(np.arange(4) == row) for row in (1, 2))
    assert Forgotten(one, one).key != Forgotten(one, one | two).key
    assert Forgotten(one, one, two).key == Forgotten(one, one).key
