"""What the benchmarks share: laws, methods, costs, intervals, tables of results, figures.

Costs are kept as one array ``(n_cells, n_draws, n_taus, n_methods)``, mean cost an instance. A
draw is a portfolio of a law, or a choice of rows and observations of a real table. Draw k has the
same seed in all cells, so cells are resampled together.
"""

import argparse
import csv
from itertools import chain

import joblib
import numpy as np
import pandas as pd
from scipy import stats

from sklearn_pttf import Checkpoint, Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws.parametric import ZeroInflatedLognormalLaw
from sklearn_pttf.baselines import (
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    PooledRatio,
    QuantileBoosting,
    SampleAverage,
    ShrunkenSampleAverage,
)
from sklearn_pttf.datasets import from_long
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import (
    GammaPoisson,
    LognormalNormal,
    PortfolioLaw,
    Segments,
    ZeroInflatedPoisson,
)

LAWS = [
    GammaPoisson(2.0, 0.2),
    GammaPoisson(10.0, 1.0),
    GammaPoisson(0.5, 0.1),
    GammaPoisson(5.0, 0.05),
    LognormalNormal(4.0, 0.3, 0.3),
    LognormalNormal(6.0, 0.8, 0.2),
    LognormalNormal(3.0, 0.2, 0.7),
]
OTHER_LAWS = [  # the design was not chosen on these
    Segments([2.0, 10.0, 40.0], [0.5, 0.3, 0.2]),
    GammaPoisson(1.0, 0.05),
    GammaPoisson(3.0, 1.5),
    GammaPoisson(20.0, 0.4),
    LognormalNormal(2.0, 0.5, 0.5),
    LognormalNormal(7.0, 1.2, 0.4),
    LognormalNormal(1.0, 0.1, 0.25),
]
ZERO_INFLATED = ZeroInflatedPoisson(2.0, 3.0, 2.0, 0.2)
TAUS = (0.5, 0.9, 0.95)
MOST_ROWS, MOST_OBSERVATIONS = 500, 10  # that a draw of a real table takes
N_RESAMPLES = 400
TICKS = (-100, -10, -5, 0, 5, 10, 100, 1000)  # of a figure, in percent


class LognormalRows(PortfolioLaw):
    """Lognormal means, outcomes and zeros; means and noise (sd over mean) are without the zeros."""

    def __init__(self, log_mean, log_sd, noise, zero_rate):
        sigma = np.sqrt(np.log1p(noise**2))
        self.positive = LognormalNormal(log_mean - sigma**2 / 2, log_sd, sigma)
        self.zero_rate = zero_rate

    def __repr__(self):
        return f"LognormalRows({self.positive!r}, {self.zero_rate:g})"

    def sample(self, n_instances, n_observations, random_state=None):
        rng = np.random.RandomState(random_state)
        positive = self.positive.sample(n_instances, n_observations, rng)
        zero = rng.uniform(size=(n_instances, n_observations)) < self.zero_rate
        observations = np.where(zero, 0.0, positive.observations)
        return Portfolio(observations, integer=False, parameters=positive.parameters)

    def predictive(self, portfolio):
        x = portfolio.observations
        law = self.positive.predictive(portfolio.with_observations(np.where(x > 0, x, np.nan)))
        return ZeroInflatedLognormalLaw(*law.parameters, self.zero_rate)

    def truth(self, portfolio):
        law = self.positive.truth(portfolio)
        return ZeroInflatedLognormalLaw(*law.parameters, self.zero_rate)


def make_parser(description, figure=True):
    """Options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--checkpoint", default="demand", help="name or path")
    parser.add_argument("--first-seed", type=int, default=0, help="other seeds, other draws")
    parser.add_argument("--jobs", type=int, default=1, help="processes, by joblib")
    parser.add_argument("--csv", help="file for a line for every cell and method")
    if figure:
        parser.add_argument("--figure", help="file for a figure, such as out.png")
    return parser


def add_table_options(parser, nargs):
    """Options of real tables."""
    parser.add_argument(
        "tables",
        nargs=nargs,
        metavar="TABLE",
        help="CSV files: long ones that have the columns below, others with one row an instance",
    )
    parser.add_argument("--instance", nargs="+", metavar="COLUMN", help="label the instance")
    parser.add_argument("--value", metavar="COLUMN", help="outcome of a record")
    parser.add_argument("--time", metavar="COLUMN", help="period of a record")
    parser.add_argument("--draws", type=int, default=20, help="of rows and of observations")


def read_table(path, options):
    """Outcomes of a CSV file, a row an instance; NaN = not observed.

    A file without any of the columns that the options name is a wide one, all of whose columns
    are outcomes. Rows with too few outcomes to decide and to charge are left out.
    """
    frame = pd.read_csv(path)
    named = [*(options.instance or []), options.value, options.time]
    named = [column for column in named if column is not None]
    if frame.columns.isin(named).any():
        frame = _wide(frame, options, path, named)
    outcomes = frame.to_numpy(dtype=float)
    outcomes = outcomes[np.sum(~np.isnan(outcomes), axis=1) > MOST_OBSERVATIONS]
    if len(outcomes) < MOST_ROWS:
        raise ValueError(
            f"{path} must have at least {MOST_ROWS} instances with more than "
            f"{MOST_OBSERVATIONS} outcomes; got {len(outcomes)} of them."
        )
    return outcomes


def _wide(frame, options, path, named):
    """A long file as one row an instance."""
    if not options.instance or not options.value or not set(named) <= set(frame.columns):
        raise ValueError(
            f"a long file needs --instance and --value and has all columns that options name; "
            f"{path} has the columns {list(frame.columns)}, options name {named}."
        )
    labels = frame[options.instance].astype(str).agg("/".join, axis=1)
    return from_long(
        frame.assign(label_of_instance=labels),
        instance="label_of_instance",
        value=options.value,
        time=options.time,
        fill="missing",
    )


def draw_rows(table, n_instances, seed):
    """Random rows, each with its outcomes in a random order of its own, missing ones last."""
    rng = np.random.default_rng(seed)
    rows = table[rng.permutation(len(table))[:n_instances]]
    keys = np.where(np.isnan(rows), np.inf, rng.random(rows.shape))
    return np.take_along_axis(rows, np.argsort(keys, axis=1), axis=1)


def network(checkpoint):
    """The network as it is, without finetuning."""
    return PretrainedDecisionTransformer(
        checkpoint=Checkpoint.load(checkpoint), finetune=None, device="cpu"
    )


def all_baselines(taus):
    """Classical methods by name. One fit serves every ratio, once boosting knows which."""
    levels = np.union1d(QuantileBoosting().levels, taus)
    return {
        "SAA": SampleAverage(),
        "shrunken SAA": ShrunkenSampleAverage(),
        "pooled ratio": PooledRatio(),
        "parametric EB": ParametricEmpiricalBayes(),
        "nonparametric EB": NonparametricEmpiricalBayes(),
        "boosting": QuantileBoosting(levels=levels, random_state=0),
    }


def costs_by_ratio(laws, X, taus, y=None, truth=None):
    """Mean cost an instance of the decisions that are best under each law.

    Parameters
    ----------
    laws : list of PredictiveDistribution
        Of the rows of X.

    X : ndarray of shape (n_instances, n_observations)

    taus : sequence of float
        Critical ratios.

    y, truth : ndarray of shape (n_instances, n_outcomes), PredictiveDistribution
        Later outcomes, or the true law; one of them.

    Returns
    -------
    ndarray of shape (n_taus, n_laws)
    """
    costs = []
    for tau in taus:
        problem = Newsvendor.from_service_level(tau)
        portfolio = problem.read(X)
        decisions = [problem.solve(law, portfolio) for law in laws]
        costs.append([decision_cost(y, d, problem=problem, truth=truth) for d in decisions])
    return np.array(costs)


def run_all(function, seeds, n_jobs):
    """``function(seed)`` of all seeds, stacked."""
    tasks = (joblib.delayed(function)(seed) for seed in seeds)
    return np.stack(joblib.Parallel(n_jobs=n_jobs)(tasks))


def percent_above(costs, reference):
    """How much costs are above others, in percent."""
    return 100 * (costs / reference - 1)


def above(totals, reference):
    """Cost of every method above that of method number ``reference``, in percent."""
    return percent_above(totals, totals[..., [reference]])


def with_half_width(statistic, costs):
    """A statistic of the costs' means over draws, and half the width of its 95 % interval.

    Parameters
    ----------
    statistic : callable
        Of costs ``(..., n_cells, n_taus, n_methods)``; it keeps the leading axes.

    costs : ndarray of shape (n_cells, n_draws, n_taus, n_methods)

    Returns
    -------
    value, half_width : float or ndarray
    """
    n_draws = costs.shape[1]
    draws = np.random.RandomState(0).multinomial(
        n_draws, np.full(n_draws, 1 / n_draws), size=N_RESAMPLES
    )
    resampled = statistic(np.einsum("rd,cdtm->rctm", draws / n_draws, costs))
    correction = np.sqrt(n_draws / max(n_draws - 1, 1))  # of a deviation around a mean of few
    return statistic(costs.mean(axis=1)), 1.96 * correction * resampled.std(axis=0)


def mean_of_few(values):
    """Mean over few draws, and half the width of its 95 % interval by Student's t."""
    if len(values) < 2:
        return values.mean(), np.nan
    error = values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), stats.t.ppf(0.975, len(values) - 1) * error


def ratio_of_few(costs, reference):
    """Ratio of mean costs of few paired draws, and half its interval (delta method)."""
    value = costs.mean() / reference.mean()
    _, half_width = mean_of_few(costs - value * reference)
    return value, half_width / abs(reference.mean())


def mean_above(reference):
    """Statistic: mean over cells and ratios of the cost above a method's, in percent."""
    return lambda totals: above(totals, reference).mean(axis=(-3, -2))


def cell_lines(cells, taus, methods, costs, reference):
    """A dict for every cell, ratio and method, with the cost above a method's.

    Parameters
    ----------
    cells : list of dict
        What is the same in all lines of a cell.

    taus : sequence of float

    methods : list of str

    costs : ndarray of shape (n_cells, n_draws, n_taus, n_methods)

    reference : int
        Number of the method to compare with.

    Returns
    -------
    list of dict
    """
    values, widths = with_half_width(lambda totals: above(totals, reference), costs)
    means = costs.mean(axis=1)
    return [
        {
            **cell,
            "tau": tau,
            "method": method,
            "mean_cost": f"{means[c, t, m]:.6g}",
            f"above_{methods[reference]}_percent": f"{values[c, t, m]:.3f}",
            "half_width": f"{widths[c, t, m]:.3f}",
        }
        for c, cell in enumerate(cells)
        for t, tau in enumerate(taus)
        for m, method in enumerate(methods)
    ]


def verdict(text, met):
    """Print a figure that was asked for."""
    print(f"{text}: {'met' if met else 'NOT MET'}")


def write_csv(path, lines):
    """Write dicts of the same keys as lines of a CSV file."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def draw_dots(path, panels, methods, xlabel):
    """Save a figure of dots with intervals, a row a method; pale dots are single cells.

    Parameters
    ----------
    path : str

    panels : list of list of tuple
        Rows of panels; each is a title, values and half widths ``(n_methods,)``, and the
        values of single cells ``(n_cells, n_methods)``.

    methods : list of str

    xlabel : str
    """
    import matplotlib.pyplot as plt

    n_rows, n_columns = len(panels), len(panels[0])
    size = (1.5 + 2.6 * n_columns, 1.0 + n_rows * (0.7 + 0.3 * len(methods)))
    figure, axes = plt.subplots(
        n_rows, n_columns, figsize=size, sharex=True, sharey=True, squeeze=False
    )
    places = np.arange(len(methods))
    all_panels = zip(axes.flat, chain.from_iterable(panels), strict=True)
    for ax, (title, values, widths, cells) in all_panels:
        ax.axvline(0, color="black", linewidth=0.8)
        ax.plot(cells.T, places, "o", color="tab:blue", alpha=0.25, markersize=3, mew=0)
        ax.errorbar(values, places, xerr=widths, fmt="o", color="black", markersize=5, capsize=3)
        ax.set_title(title, fontsize=10)
        ax.set_yticks(places, methods)
        ax.grid(axis="x", alpha=0.3)
    axes[0, 0].invert_yaxis()
    low = min(cells.min() for *_, cells in chain.from_iterable(panels))
    high = max(cells.max() for *_, cells in chain.from_iterable(panels))
    axes[0, 0].set_xscale("symlog", linthresh=10, linscale=2)  # even up to 10 %
    axes[0, 0].set_xlim(1.2 * low - 1, 1.2 * high + 1)
    ticks = [tick for tick in TICKS if low < tick < high]
    axes[0, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes[0, 0].minorticks_off()
    figure.supxlabel(xlabel, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
