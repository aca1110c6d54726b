"""The population attack behind "MIA-efficacy" (SalUn, arXiv 2310.12508).

A classifier learns, on outputs of the audited model alone, to tell kept records (members) from test records
(non-members) by true-class confidence p_y; MIA-efficacy is the share of the forget set it calls non-member.
The published attack is an RBF SVC (C = 3, gamma "auto"); ours is logistic: on one feature both are a threshold in
practice (a test compares them), and the SVC takes minutes where this takes milliseconds. Numbers are therefore
comparable within an audit, and with published rows only roughly.
Failure mode: a model that treats kept and test records alike gives the attack nothing to learn; its threshold, and with
it the number, then jumps with the draw. Compare with the golds' spread, never with a fixed goal.
"""

import numpy as np


def _balanced(kept: np.ndarray, unseen: np.ndarray, seed: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Equal numbers of kept and unseen confidences: features (2n, 1) and membership (2n,)."""
    rng = np.random.default_rng(seed)
    n = min(len(kept), len(unseen), most)
    drawn = [rng.choice(scores, size=n, replace=False) for scores in (kept, unseen)]
    return np.concatenate(drawn)[:, None], np.repeat([1, 0], n)


def nonmembers(kept: np.ndarray, unseen: np.ndarray, asked: np.ndarray, *, seed: int, most: int = 10_000) -> np.ndarray:
    """Which of `asked` (N,) the logistic attack calls non-member, bool (N,).

    `kept` and `unseen` are p_y of retain and test records; equal numbers, at most `most` each, are drawn by `seed`.
    """
    from sklearn.linear_model import LogisticRegression

    features, member = _balanced(kept, unseen, seed, most)
    attack = LogisticRegression().fit(features, member)
    return attack.predict(asked[:, None]) == 0
