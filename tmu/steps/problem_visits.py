"""How many records the twin problems of the references look at: what they cost before any were fitted. Needs no torch.

They cost the more retrainings the smaller the training set is: a trial is a step, whose length hardly depends on it.
The numbers are those of `tmu/twin/rates.py`, which plans do not import.
"""

from tmu.twin.shape import shape_of_step

PEOPLE = 4  # single people, over whom a trial is averaged
SHARES = (0.01, 0.05)  # of the records: forget sets beside one person
WATCHED = 1000  # records of D, and of the hold-out, that are watched in a trial
RECORDS, HELD = 12_000, 3_000  # of D and of the hold-out, at most
_RATES, _LEADS = 3, 2  # each rate without a lead and with one
_LOOK = 3  # looks that cost a visit: one goes forward, and not back


def visits_of_problems(train: int, held: int, person: int) -> int:
    """Record visits, at most. train, held: records of D and of the hold-out; person: of D's, those of one person."""
    train, held, person = min(train, RECORDS), min(held, HELD), max(1, person)
    trials = [PEOPLE * shape_of_step(person).visits + _watched(train, held, PEOPLE)]
    largest = person
    for share in SHARES:
        size = person * (int(share * train) // person + 1)  # whole people
        if size >= 2 * largest and 2 * size < train:
            trials.append(shape_of_step(size).visits + _watched(train, held, 1))
            largest = size
    return _RATES * _LEADS * sum(trials)


def _watched(train: int, held: int, sets: int) -> int:
    """What watching costs in a trial of so many forget sets: each watches others while there are enough records."""
    return sum(min(WATCHED, sets * records) for records in (train, held)) // _LOOK
