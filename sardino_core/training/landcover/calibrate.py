"""How sure the model may claim to be: a temperature for its probabilities, and the confidence below which it abstains.

Both are fitted on validation pixels (Guo et al. 2017, arXiv 1706.04599), never on training pixels. numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sardino_core.contract.model_spec import CalibrationSpec

_LOG_T = (-2.5, 2.5)  # natural logarithm of the temperatures searched: 0.08 to 12
_BINS = 15


@dataclass(frozen=True)
class Reliability:
    """What the calibrated probabilities are worth on the pixels they were fitted on."""

    calibration: CalibrationSpec
    metrics: dict[str, float]


def calibrate(
    logits: NDArray[np.float32], allowed: NDArray[np.bool_], target_accuracy: float, most_unsure: float
) -> Reliability:
    """Fit both on M pixels: logits (M, K) and the classes that each label allows (M, K)."""
    single = allowed.sum(axis=1) == 1
    temperature = fit_temperature(logits, allowed)
    p = _softmax(logits[single] / temperature)
    confidence = p.max(axis=1)
    correct = allowed[single][np.arange(len(p)), p.argmax(axis=1)]
    threshold = choose_threshold(confidence, correct, target_accuracy, most_unsure)
    kept = confidence >= threshold
    metrics = {
        "nll before": negative_log_likelihood(logits, allowed, 1.0),
        "nll": negative_log_likelihood(logits, allowed, temperature),
        "calibration error before": calibration_error(*_judged(logits[single], allowed[single])),
        "calibration error": calibration_error(confidence, correct),
        "unsure share": float(1 - kept.mean()) if len(kept) else 0.0,
        "accuracy when sure": float(correct[kept].mean()) if kept.any() else 0.0,
    }
    return Reliability(CalibrationSpec(round(temperature, 4), round(threshold, 4)), metrics)


def fit_temperature(logits: NDArray[np.float32], allowed: NDArray[np.bool_]) -> float:
    """The temperature of least negative log-likelihood, by golden-section search over its logarithm."""
    if not len(logits):
        return 1.0
    ratio = (np.sqrt(5) - 1) / 2
    low, high = _LOG_T
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if negative_log_likelihood(logits, allowed, np.exp(left)) < negative_log_likelihood(
            logits, allowed, np.exp(right)
        ):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def negative_log_likelihood(logits: NDArray[np.float32], allowed: NDArray[np.bool_], temperature: float) -> float:
    """Mean -log of the probability of the allowed classes, in nats."""
    if not len(logits):
        return 0.0
    p = _softmax(logits.astype(np.float64) / temperature)
    return float(-np.log(np.maximum((p * allowed).sum(axis=1), 1e-12)).mean())


def choose_threshold(
    confidence: NDArray[np.floating], correct: NDArray[np.bool_], target_accuracy: float, most_unsure: float
) -> float:
    """The lowest confidence from which on the pixels kept reach `target_accuracy`, dropping at most `most_unsure`.

    0 when all pixels together reach it already.
    """
    if not len(confidence) or correct.mean() >= target_accuracy:
        return 0.0
    order = np.argsort(confidence)
    ranked = correct[order][::-1].cumsum()[::-1] / np.arange(len(order), 0, -1)  # accuracy of this pixel and all surer
    reached = np.flatnonzero(ranked >= target_accuracy)
    dropped = min(int(reached[0]) if len(reached) else len(order), int(most_unsure * len(order)))
    return float(confidence[order[min(dropped, len(order) - 1)]])


def calibration_error(confidence: NDArray[np.floating], correct: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins of confidence: mean gap between what is claimed and what is true."""
    if not len(confidence):
        return 0.0
    bins = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    count = np.bincount(bins, minlength=_BINS)
    gap = np.abs(np.bincount(bins, confidence, _BINS) - np.bincount(bins, correct, _BINS))
    return float(gap.sum() / count.sum())


def _judged(logits: NDArray[np.float32], allowed: NDArray[np.bool_]) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    p = _softmax(logits)
    return p.max(axis=1), allowed[np.arange(len(p)), p.argmax(axis=1)]


def _softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf)) if len(logits) else logits
    result: NDArray[np.floating] = shifted / shifted.sum(axis=1, keepdims=True)
    return result
