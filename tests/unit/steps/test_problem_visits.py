"""The forecast of the twin problems against the numbers of the code that poses them."""

from tmu.steps import fit_reference_twin as step
from tmu.steps import problem_visits
from tmu.steps.problem_visits import visits_of_problems
from tmu.twin import rates


def test_its_numbers_are_those_of_the_twin_problems() -> None:
    named = (problem_visits.PEOPLE, problem_visits.SHARES, problem_visits.WATCHED)
    assert named == (rates._PEOPLE, rates._SHARES, rates._WATCHED)
    assert (problem_visits.RECORDS, problem_visits.HELD) == (step.RECORDS, step.HELD)
    assert len(rates.FACTORS) + 1 == problem_visits._RATES


def test_they_cost_more_retrainings_the_smaller_the_set_is() -> None:
    per_record = [visits_of_problems(size, size // 4, 6) / size for size in (240, 4_000, 12_000)]
    assert per_record[0] > 80 > 5 * per_record[2]
    assert visits_of_problems(10**6, 10**5, 6) == visits_of_problems(12_000, 3_000, 6)  # on so many they are posed
