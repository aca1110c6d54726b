"""What an audit without golds looks at beside the forget set: how much, and how little is too little."""

LEAST_UNSEEN = 99
"""Records below which false alarms cannot be bounded at 1 %."""


def looked_at(sample: int) -> dict[str, int]:
    """How many records are looked at beside the forget set, at least, by part: half as many who stay as never seen.

    The never-seen ones carry the evidence: a model's calibration on T of them errs as one record of T does, and its
    error is shared by all forgotten records. Half as many who stay convict the untouched original as often as all 2,000
    did (Fashion-MNIST, requests of 10 to 100 records of a random tenth, three seeds, not stored).
    """
    return {"retain": -(-sample // 2), "test": sample}
