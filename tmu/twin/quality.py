"""How good a predictor is, measured on the twin by cross-fitting: ranking, calibration, beside "all easy"."""

import numpy as np


def predictor_quality(p_wrong: np.ndarray, wrong: np.ndarray, bins: int = 10) -> dict:
    """AUROC, average precision and balanced accuracy for "wrong", Brier score, and the reliability curve.

    Never plain accuracy: "all easy" scores the hold-out accuracy there (`docs/method.md`). The reliability curve has
    equal-count bins: mean prediction, share wrong, number.
    """
    from sklearn.metrics import average_precision_score, balanced_accuracy_score, brier_score_loss, roc_auc_score

    order = np.argsort(p_wrong, kind="stable")
    curve = [
        {"predicted": float(p_wrong[part].mean()), "wrong": float(wrong[part].mean()), "n": len(part)}
        for part in np.array_split(order, min(bins, len(order)))
    ]
    hardest = np.zeros(len(wrong), dtype=bool)
    hardest[order[len(order) - int(wrong.sum()) :]] = True
    return {
        "auroc": float(roc_auc_score(wrong, p_wrong)),
        "average_precision": float(average_precision_score(wrong, p_wrong)),
        "balanced_accuracy": float(balanced_accuracy_score(wrong, hardest)),
        "brier": float(brier_score_loss(wrong, p_wrong)),
        "brier_all_easy": float(wrong.mean()),
        "n": len(wrong),
        "n_wrong": int(wrong.sum()),
        "reliability": curve,
    }
