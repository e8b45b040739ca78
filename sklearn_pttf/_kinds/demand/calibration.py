"""Steps of calibrating a prior to real rows."""

import numpy as np

from sklearn_pttf._kinds.demand.ranges import FAMILIES, RANGES, DemandHyperPrior
from sklearn_pttf._kinds.demand.sampler import draw_portfolios
from sklearn_pttf._priors.draws import seeded_generator
from sklearn_pttf._priors.ranges import as_tensors
from sklearn_pttf._tables.summaries import row_summaries

MAX_ROWS = 100  # rows of X, and of each simulated portfolio, that calibration looks at
MAX_CELLS = 30  # of a row, likewise: what the prior draws at most unless told otherwise
REFERENCE_ROWS = 1000  # synthetic ones that real rows are placed among, to a thousandth
COVERED = (0.05, 0.95)  # quantiles of accepted hyperparameters between which ranges are narrowed
ROWS_A_DRAW = 4  # of the reference, in a portfolio: many portfolios tell more than many rows of few
LEVEL_WINDOW = 4.0  # calibration looks for levels within this factor of the rows' own


def part_of(observations, rng):
    """At most 100 rows with an observation, and 30 cells of each, observed ones first."""
    rows = np.flatnonzero((~np.isnan(observations)).any(axis=1))
    rows = np.sort(rng.permutation(rows)[:MAX_ROWS])
    part = observations[rows]
    order = rng.permutation(part.shape[1])
    cells = np.argsort(np.where(np.isnan(part), np.inf, order), axis=1)[:, :MAX_CELLS]
    return np.take_along_axis(part, np.sort(cells, axis=1), axis=1)


def near_level(hyperprior, observations):
    """The hyperprior with levels near those of real rows, where it has such levels."""
    low, high = hyperprior.bounds("level")
    mean = np.nanmean(observations)
    positive = observations[observations > 0]
    if len(positive) == 0:
        return hyperprior
    near = (max(low, mean / LEVEL_WINDOW), min(high, positive.mean() * LEVEL_WINDOW))
    if near[0] >= near[1]:
        return hyperprior
    ranges = {**hyperprior.ranges, "level": near}
    return DemandHyperPrior(ranges, hyperprior.families, hyperprior.shares)


def narrowed(hyperprior, accepted):
    """Parameters of a prior that covers 90 % of the accepted hyperparameters."""
    params = {}
    for name, rule in RANGES.items():
        if rule.whole or name == "missing":
            continue
        ends = np.quantile(accepted[name], COVERED)
        low, high = np.clip(ends, *hyperprior.bounds(name))  # exp(log(x)) may lie beyond x
        params[name] = (float(low), float(high))
    for name, known in FAMILIES.items():
        codes = accepted[name.replace("families", "family")]
        weights = np.bincount(codes, minlength=len(known))
        params[name] = {family: float(w) for family, w in zip(known, weights, strict=True) if w}
    for name, happened in (("intermittent_share", "intermittent"), ("bulk_share", "bulk")):
        params[name] = float(np.mean(accepted[happened]))
    return params


def reference_table(hyperprior, rng):
    """Sorted summaries of synthetic rows by number of observations; ``(30, 4, n_rows)``."""
    n_portfolios = REFERENCE_ROWS // ROWS_A_DRAW
    hyper = hyperprior.draw(n_portfolios, rng)
    hyper["missing"] = np.zeros(n_portfolios)
    draw = draw_portfolios(
        as_tensors(hyper), ROWS_A_DRAW, 0, MAX_CELLS, seeded_generator(rng, "cpu")
    )
    cells = draw.outcomes.numpy().astype(float).reshape(-1, MAX_CELLS)
    tables = [row_summaries(cells[:, :n]).T for n in range(1, MAX_CELLS + 1)]
    return np.sort(np.array(tables), axis=-1)
