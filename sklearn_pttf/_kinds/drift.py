"""Whether observations rise or fall in time, where periods are taken to be exchangeable."""

import warnings

import numpy as np
from scipy import stats

from sklearn_pttf._utils.rounding import ROUNDED, TINY
from sklearn_pttf.exceptions import DriftWarning

FEWEST_ROWS = 20  # that say anything
LEAST_DRIFT = 0.1  # of the mean that is worth a warning
LEAST_EARLY = 1e-9  # of amounts before a rise, where there were none
LEAST_SHIFT = 0.25  # of the noise that is worth one, of values of any sign
CHANCE = 1e-5  # of a warning where there is nothing to warn of
CHANCE_OF_PERIODS = 0.02  # likewise, of periods that differ by themselves
FEWEST_PERIODS = 4  # that tell a drift from what periods have of their own


class DriftOfAmounts:
    """Changes of amounts, as shares of them."""

    @staticmethod
    def of_rows(early, late, half):
        """Changes of the rows that tell of one."""
        both = early + late
        return (late - early)[both > 0] / both[both > 0]

    @staticmethod
    def of_periods(total, expected, seen):
        """Logarithms of factors that periods have of their own."""
        # so that nothing sold is a number
        least = 0.5 * expected[expected > 0].min(initial=1.0) / len(seen)
        return np.log((total + least) / (expected + least))

    @staticmethod
    def told(mean, error, shared, observations):
        """Size of a mean change and its standard error, in words; None of too small a one."""
        ratio = (1 + mean) / max(1 - mean, LEAST_EARLY) - 1
        if abs(ratio) < LEAST_DRIFT:
            return None
        return f"{abs(ratio):.0%}", f"{max(2 * error, shared):.0%}"


class DriftOfValues:
    """Changes of values of any sign, as differences; its methods are those of amounts."""

    @staticmethod
    def of_rows(early, late, half):
        return (late - early)[half > 0] / half[half > 0]

    @staticmethod
    def of_periods(total, expected, seen):
        return (total - expected) / seen.sum(axis=0)

    @staticmethod
    def told(mean, error, shared, observations):
        if abs(mean) <= LEAST_SHIFT * _noise(observations):
            return None
        return f"{abs(mean):.3g}", f"{max(error, shared):.2g}"


def warn_of_drift(observations, measure):
    """Compare the early and the late half of every row; warns with a `DriftWarning`.

    A row's change is ``(late - early) / (late + early)`` of amounts, and ``late - early`` of
    values of any sign, the mean of which is 0 if periods are exchangeable, whatever the row's law.
    As rows share what a period has of its own, however many they are, periods have to say so too:
    their late half differs from the early one, or they rise or fall steadily, by more than periods
    differ anyway.

    Parameters
    ----------
    observations : ndarray of shape (n, m)
        In the order of time.

    measure : type
        `DriftOfAmounts` or `DriftOfValues`.

    Returns
    -------
    bool
        Whether it warned.
    """
    found = _drift(observations, measure)
    if found is None:
        return False
    n_rows, mean, told = found
    advice = (
        "Periods of a row are taken to be exchangeable, so decisions lag behind a trend or season: "
        "say ordered=True if columns are in the order of time, or use newer periods only."
    )
    alone = _end_that_differs(observations, measure)
    if alone is not None:
        advice = (
            f"It is the {alone} period alone that differs: leave it out if it is covered in part. "
            "Periods of a row are taken to be exchangeable."
        )
    warnings.warn(
        f"observations drift: over {n_rows:,} rows, those in the later half of a row are "
        f"{told[0]} {'higher' if mean > 0 else 'lower'} on average (standard error {told[1]}) than "
        f"those in its earlier half. {advice}",
        DriftWarning,
        stacklevel=4,
    )
    return True


def _drift(observations, measure):
    """Rows that tell of a change, its mean, and size and standard error in words; None of none."""
    change = measure.of_rows(*_halves(observations))
    if len(change) < FEWEST_ROWS:
        return None
    mean, error = change.mean(), change.std(ddof=1) / np.sqrt(len(change))
    if abs(mean) <= stats.t.isf(CHANCE / 2, len(change) - 1) * error:
        return None
    by_chance, shared = _drift_of_periods(_period_effects(observations, measure))
    if by_chance > CHANCE_OF_PERIODS:
        return None
    told = measure.told(mean, error, shared, observations)
    return None if told is None else (len(change), mean, told)


def _end_that_differs(observations, measure):
    """The period at an end without which there is no drift, as one that a file covers in part."""
    if observations.shape[1] <= 2:
        return None
    ends = {"last": observations[:, :-1], "first": observations[:, 1:]}
    return next((name for name, rest in ends.items() if _drift(rest, measure) is None), None)


def _period_effects(x, measure):
    """What periods with enough rows have of their own, as their rows' levels go; 1-D ndarray."""
    seen = ~np.isnan(x)
    used = seen.sum(axis=0) >= FEWEST_ROWS
    level = np.where(seen, x, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    total, expected = (np.where(seen, each, 0.0).sum(axis=0)[used] for each in (x, level[:, None]))
    return measure.of_periods(total, expected, seen[:, used])


def _drift_of_periods(effects):
    """p-value of periods without a drift, and standard error of late ones against early ones.

    Of fewer than four periods nobody can tell, and rows alone decide: 0 and 0.
    """
    n = len(effects)
    if n < FEWEST_PERIODS:
        return 0.0, 0.0
    half = n // 2
    early, late = effects[:half], effects[-half:]
    error = np.sqrt((early.var(ddof=1) + late.var(ddof=1)) / half)
    size = abs(late.mean() - early.mean())
    step = 2 * stats.t.sf(size / max(error, ROUNDED * size, TINY), 2 * half - 2)
    steady = stats.linregress(np.arange(n), effects).pvalue
    return min(2 * step, 2 * steady, 1.0), error


def _noise(observations):
    """Standard deviation of observations around their row's mean."""
    counts = (~np.isnan(observations)).sum(axis=1)
    observations, counts = observations[counts > 1], counts[counts > 1]
    squares = np.nanvar(observations, axis=1) * counts
    return np.sqrt(squares.sum() / (counts - 1).sum())


def _halves(observations):
    """Sums of as many early as late observations of every row, and how many each has."""
    seen = ~np.isnan(observations)
    half = seen.sum(axis=1, keepdims=True) // 2
    nth = seen.cumsum(axis=1)
    first = seen & (nth <= half)
    last = seen & (nth > nth[:, -1:] - half)
    early, late = (np.where(part, observations, 0.0).sum(axis=1) for part in (first, last))
    return early, late, half[:, 0]
