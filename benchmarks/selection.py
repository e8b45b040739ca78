"""Selection and estimation: picks and means of noisy rows, against exact Bayes.

::

    python benchmarks/selection.py                         # all parts
    python benchmarks/selection.py --part select weights   # some of them

Rows have normal noise around means of their own, of standard deviation about 1: normal ones, two
points (20 % at the upper), sparse ones (0 but for 10 % around 3), and Student's with 3 degrees of
freedom. Every row has its own number of observations, 1 to 8. Noise is 0.5, 1 or 2. It is
``known``, as standard errors, ``unknown``, or ``unequal``: of every row its own, and known.

``select``: rows picked under a capacity of 5, 20 or 50 % of them. What the means of picks add up to
above those of random picks, as a share of what exact Bayes gains so. All means are moved up, so
that next to no row is expected to lose. James-Stein shrinks all rows by one factor, so it picks
what sample means do.

``weights``: rows of unequal weight, picked whole. The network's picks also against the optimum of
the values that it predicts, by dynamic programming.

``estimate``: squared error of estimated means over that of exact Bayes, and how often the network's
90 % intervals cover the means.

``counts``: the same squared error of Poisson means, one observation a row. The network is told that
noise is Poisson (the `poisson` checkpoint), or it is not (`demand`). ``two means by EM`` is maximum
likelihood of one who is told that there are two segments. ``known segments`` is one who
knows which rows are alike, but not the means of segments: where segments lie far apart, no method
that is not told these means can be nearer to exact Bayes.

``finetune``: finetuned networks against frozen ones under laws that the prior does not have: means
on a lattice of seven points, and noise that is five times as large in one observation of ten.

Means and squared errors are those that are expected given the observations, under the exact law:
over draws they average to those of the true means, with less chance. The latter are in a line below
each table. Of ``finetune`` all are of true means.

``+-`` is the half width of a 95 % interval, by resampling draws, or of ``finetune``, which has at
most five, by Student's t. Figures of a law are means over its cells. ``--csv`` writes the cells of
all parts but ``finetune``.
"""

import sys
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
from common import (
    make_parser,
    network,
    ratio_of_few,
    run_all,
    verdict,
    with_half_width,
    write_csv,
)
from scipy import stats
from sklearn.base import BaseEstimator, clone

from sklearn_pttf import Column
from sklearn_pttf.baselines import (
    JamesStein,
    NonparametricEmpiricalBayes,
    ParametricEmpiricalBayes,
    SampleAverage,
)
from sklearn_pttf.problems import Estimation, Selection
from sklearn_pttf.testing import GammaPoisson, NormalPoints, Segments

N_ROWS, MOST_OBSERVATIONS = 500, 8
NOISES = (0.5, 1.0, 2.0)
EVIDENCE = {"known": 0.0, "unknown": 0.0, "unequal": 0.5}  # spread of the rows' log noise
CAPACITIES = (0.05, 0.2, 0.5)  # shares of the rows
LEVEL = 10.0  # of means, in their standard deviations: next to no row is expected to lose
NETWORK, SAMPLE_MEAN, JAMES_STEIN, PARAMETRIC, NONPARAMETRIC = range(5)
METHODS = ["network", "sample mean", "James-Stein", "parametric EB", "nonparametric EB"]
LEAST_GAIN, MOST_ERROR, COVERAGE, OFF_COVERAGE = 0.97, 1.03, 0.9, 0.02  # that are asked
WEIGHTED_ROWS, WEIGHTED_SHARE, WEIGHTED_LEVEL = 200, 0.2, 1.0
PARTS = 100  # of a unit of weight: weights are whole numbers of them
SAME = 1e-9  # share of its value that an optimum may be missed by, which is rounding
COUNT_LAWS = [
    GammaPoisson(2.0, 0.2),
    GammaPoisson(10.0, 1.0),
    GammaPoisson(1.0, 1.0),
    GammaPoisson(0.5, 0.1),
    Segments([2.0, 20.0]),
    Segments([1.0, 5.0], [3.0, 1.0]),
    Segments([3.0, 8.0]),
    Segments([4.0, 6.0]),
]
COUNT_METHODS = [
    "network, told",
    "network, not told",
    "nonparametric EB",
    "two means by EM",
    "sample mean",
]
N_EM_STEPS = 100
MOST_FINETUNED = 5  # draws, as they take long
OUTLIERS, OUTLIER_NOISE = 0.1, 5.0

GRID = np.linspace(-12.0, 12.0, 481)
SHAPES = {
    "normal": (GRID, stats.norm.pdf(GRID)),
    "two-point": ([-0.5, 2.0], [0.8, 0.2]),
    "sparse": (
        np.append(GRID, 0.0),
        np.append(0.1 * stats.norm.pdf(GRID, 3.0) * (GRID[1] - GRID[0]), 0.9),
    ),
    "heavy-tailed": (GRID, stats.t.pdf(np.sqrt(3) * GRID, 3)),
}


class Cell(NamedTuple):
    """What portfolios are drawn from, and what is told of them."""

    shape: str
    evidence: str
    noise: float

    def law(self, level=LEVEL):
        """Law with the given mean level."""
        points, weights = SHAPES[self.shape]
        return NormalPoints(
            level + np.asarray(points), weights, self.noise, EVIDENCE[self.evidence]
        )

    def as_dict(self):
        """Of the CSV file."""
        return {"law": self.shape, "evidence": self.evidence, "noise": self.noise}


CELLS = [Cell(*each) for each in product(SHAPES, EVIDENCE, NOISES)]


class Table(NamedTuple):
    """A figure of merit of methods, from the draws' values ``(n_cells, n_draws, n_columns, n)``.

    ``statistic`` maps values of all columns to the figure of each of ``methods``.
    """

    part: str
    title: str
    cells: list
    columns: list
    methods: list
    values: np.ndarray
    statistic: object

    def shapes(self):
        """Laws, each once."""
        return list(dict.fromkeys(cell.shape for cell in self.cells))

    def of_shape(self, shape):
        """The part of a law."""
        rows = [k for k, cell in enumerate(self.cells) if cell.shape == shape]
        cells = [self.cells[k] for k in rows]
        return self._replace(cells=cells, values=self.values[rows])

    def mean(self):
        """Means over cells and columns ``(n_methods,)``, and half widths."""
        return with_half_width(lambda v: self.statistic(v).mean(axis=(-3, -2)), self.values)

    def difference(self, one, other):
        """Mean of one method minus that of another, and half the width of its interval."""

        def statistic(values):
            found = self.statistic(values)
            return (found[..., one] - found[..., other]).mean(axis=(-2, -1))

        return with_half_width(statistic, self.values)

    def by_cell(self):
        """Figures ``(n_cells, n_columns, n_methods)``."""
        return self.statistic(self.values.mean(axis=1))


def gain(values):
    """Value above random picks as a share of exact Bayes'; these two are the last methods."""
    picked, random, bayes = values[..., :-2], values[..., [-2]], values[..., [-1]]
    return (picked - random) / (bayes - random)


def over_bayes(values):
    """Error over that of exact Bayes, the last method."""
    return values[..., :-1] / values[..., [-1]]


def print_table(table, digits=3):
    """A line a law and method: cells, averaged over columns, and their mean."""
    print(f"\n{table.title}")
    print(f"{'':32}" + "".join(f"{evidence:^24}" for evidence in EVIDENCE))
    print(
        f"{'':32}" + "".join(f"{noise:8g}" for _, noise in product(EVIDENCE, NOISES)) + "    mean"
    )
    for shape in table.shapes():
        part = table.of_shape(shape)
        by_cell, (means, widths) = part.by_cell().mean(axis=1), part.mean()
        for m, method in enumerate(table.methods):
            line = "".join(f"{value:8.{digits}f}" for value in by_cell[:, m])
            print(f"{shape:14}{method:18}{line}{means[m]:8.{digits}f} +- {widths[m]:.{digits}f}")


def print_true(table, values):
    """The network's mean by the true means of the rows."""
    table, shown = table._replace(values=values), []
    for shape in table.shapes():
        means, widths = table.of_shape(shape).mean()
        shown.append(f"{shape} {means[NETWORK]:.3f} +- {widths[NETWORK]:.3f}")
    print(f"  network by true means: {', '.join(shown)}")


def print_differences(table, others, more):
    """The network against other methods; with ``more`` it is asked to be above, else below."""
    for shape, number in others:
        value, width = table.of_shape(shape).difference(NETWORK, number)
        what = f"{shape}: network minus {table.methods[number]} {value:+.4f} +- {width:.4f}"
        verdict(
            f"{what}, {'above' if more else 'at most'} 0 asked", value > 0 if more else value <= 0
        )


def table_lines(table):
    """Of the CSV file."""
    figures, widths = with_half_width(table.statistic, table.values)
    for (c, cell), (k, column), (m, method) in product(
        enumerate(table.cells), enumerate(table.columns), enumerate(table.methods)
    ):
        yield {
            "part": table.part,
            **cell.as_dict(),
            "case": column,
            "method": method,
            "mean_value": f"{table.values[c, :, k, m].mean():.6g}",
            "figure": f"{figures[c, k, m]:.5f}",
            "half_width": f"{widths[c, k, m]:.5f}",
        }


# ------------------------------------------------------------------ draws and methods


def draw_portfolio(law, n_rows, seed):
    """Rows with 1 to 8 observations each."""
    portfolio = law.sample(n_rows, MOST_OBSERVATIONS, random_state=seed)
    n_observed = np.random.default_rng(seed).integers(1, MOST_OBSERVATIONS + 1, n_rows)
    seen = np.arange(MOST_OBSERVATIONS) < n_observed[:, None]
    return portfolio.with_observations(np.where(seen, portfolio.observations, np.nan))


def as_table(portfolio, evidence):
    """X, and the role of its last column where that is the standard errors."""
    if evidence == "unknown":
        return portfolio.observations, None
    X = np.column_stack([portfolio.observations, portfolio.parameters["noise"]])
    return X, Column(MOST_OBSERVATIONS)


def all_methods(checkpoint):
    """Estimators in the order of METHODS."""
    return [
        network(checkpoint),
        SampleAverage(),
        JamesStein(),
        ParametricEmpiricalBayes(family="normal"),
        NonparametricEmpiricalBayes(family="normal"),
    ]


def fitted(estimators, problem, X):
    """Copies for a problem, fitted."""
    return [clone(each).set_params(problem=problem).fit(X) for each in estimators]


def run_cells(function, cells, options):
    """``function(seed, cell, estimators)`` of all cells and draws, stacked."""
    estimators = all_methods(options.checkpoint)
    seeds = range(options.first_seed, options.first_seed + options.draws)
    run = partial(function, estimators=estimators)
    return np.stack([run_all(partial(run, cell=cell), seeds, options.jobs) for cell in cells])


# ------------------------------------------------------------------ select


def picked_values(seed, cell, estimators):
    """Means of the picks of all methods, of random ones and of exact Bayes'; expected and true."""
    law = cell.law()
    portfolio = draw_portfolio(law, N_ROWS, seed)
    X, errors = as_table(portfolio, cell.evidence)
    posterior = law.posterior(portfolio)
    means = np.stack([posterior.mean(), portfolio.parameters["mean"]])
    problems = [Selection(share * N_ROWS, standard_errors=errors) for share in CAPACITIES]
    estimators = fitted(estimators, problems[0], X)
    values = []
    for share, problem in zip(CAPACITIES, problems, strict=True):
        picks = [each.decide(X, problem=problem) for each in estimators]
        picks += [np.full(N_ROWS, share), problem.solve(posterior, problem.read(X))]
        values.append(means @ np.transpose(picks))
    return np.stack(values, axis=1)  # (2, n_capacities, n_methods + 2)


def select(options):
    """Picks under a capacity."""
    values, true_values = np.moveaxis(run_cells(picked_values, CELLS, options), 2, 0)
    title = (
        f"select, N={N_ROWS}, n=1 to {MOST_OBSERVATIONS}: gain over random picks, exact Bayes = 1"
    )
    columns = [f"{share:.0%}" for share in CAPACITIES]
    table = Table("select", title, CELLS, columns, METHODS, values, gain)
    print_table(table)
    print_true(table, true_values)
    worst = table.by_cell().min(axis=(0, 1))
    by_capacity = table.by_cell().mean(axis=0)
    for m, method in enumerate(METHODS):
        shown = ", ".join(f"{c} {v:.3f}" for c, v in zip(columns, by_capacity[:, m], strict=True))
        print(f"  {method:18} by capacity {shown}; worst cell {worst[m]:.3f}")
    means, widths = table.of_shape("normal").mean()
    text = f"normal: network {means[NETWORK]:.4f} +- {widths[NETWORK]:.4f}, {LEAST_GAIN:g} asked"
    verdict(text, means[NETWORK] >= LEAST_GAIN)
    others = [SAMPLE_MEAN, JAMES_STEIN]
    pairs = [(shape, number) for shape in SHAPES for number in [*others, PARAMETRIC]]
    print_differences(table, [pair for pair in pairs if pair != ("normal", PARAMETRIC)], more=True)
    return [table]


# ------------------------------------------------------------------ weights


def best_total(values, weights, capacity):
    """Largest total value of whole picks, by dynamic programming over whole-number weights."""
    best = np.zeros(int(capacity) + 1)  # with at most so much used
    for value, weight in zip(values, weights.astype(int), strict=True):
        best[weight:] = np.maximum(best[weight:], best[: len(best) - weight] + value)
    return best[-1]


def weighted_values(seed, cell, estimators):
    """As `picked_values`, of whole rows with weights; then the optimum's miss, and the use."""
    law = cell.law(WEIGHTED_LEVEL)
    portfolio = draw_portfolio(law, WEIGHTED_ROWS, seed)
    X, errors = as_table(portfolio, cell.evidence)
    rng = np.random.default_rng([seed, 1])
    weights = rng.integers(PARTS, 10 * PARTS + 1, WEIGHTED_ROWS).astype(float)
    capacity = WEIGHTED_SHARE * float(weights.sum())
    X = np.column_stack([X, weights])
    problem = Selection(
        capacity, weights=Column(X.shape[1] - 1), integer=True, standard_errors=errors
    )
    estimators = fitted(estimators, problem, X)
    picks, info = estimators[NETWORK].decide(X, return_info=True)
    missed = 1 - picks @ info.mean / best_total(info.mean, weights, capacity)
    posterior = law.posterior(portfolio)
    picks = [picks, *(each.decide(X) for each in estimators[1:])]
    picks += [np.full(WEIGHTED_ROWS, WEIGHTED_SHARE), problem.solve(posterior, problem.read(X))]
    used = max(each @ weights for each in picks) / capacity
    return np.array(
        [
            [[*(each @ mean for each in picks), missed, used]]
            for mean in (posterior.mean(), portfolio.parameters["mean"])
        ]
    )


def weights(options):
    """Whole rows of unequal weight."""
    cells = [cell for cell in CELLS if cell.shape in ("normal", "two-point")]
    found = np.moveaxis(run_cells(weighted_values, cells, options), 2, 0)
    (values, true_values), missed, used = found[..., :-2], found[..., -2], found[..., -1]
    title = (
        f"weights, N={WEIGHTED_ROWS}, n=1 to {MOST_OBSERVATIONS}, capacity {WEIGHTED_SHARE:.0%}: "
        "gain over random picks, exact Bayes = 1"
    )
    columns = [f"{WEIGHTED_SHARE:.0%}"]
    table = Table("weights", title, cells, columns, METHODS, values, gain)
    print_table(table)
    print_true(table, true_values)
    for shape in table.shapes():
        means, widths = table.of_shape(shape).mean()
        text = f"{shape}: network {means[NETWORK]:.4f} +- {widths[NETWORK]:.4f}"
        verdict(f"{text}, {LEAST_GAIN:g} asked", means[NETWORK] >= LEAST_GAIN)
    text = f"optimum of the predicted values missed by at most {missed.max():.1e} of it"
    verdict(f"{text}, {SAME:g} asked", missed.max() <= SAME)
    verdict(f"capacity kept, {used.max():.6f} of it used at most", used.max() <= 1 + SAME)
    return [table]


# ------------------------------------------------------------------ estimate


def squared_errors(seed, cell, estimators):
    """Squared errors of all methods and exact Bayes, expected and true; coverage of intervals."""
    law = cell.law()
    portfolio = draw_portfolio(law, N_ROWS, seed)
    X, errors = as_table(portfolio, cell.evidence)
    posterior, truth = law.posterior(portfolio), portfolio.parameters["mean"]
    problem = Estimation(standard_errors=errors, coverage=COVERAGE)
    estimators = fitted(estimators, problem, X)
    found, info = estimators[NETWORK].decide(X, return_info=True)
    covered = np.mean((info.lower <= truth) & (truth <= info.upper))
    found = np.stack([found, *(each.decide(X) for each in estimators[1:]), posterior.mean()])
    least = problem.expected_cost(found[-1], posterior, portfolio)
    expected = (found - found[-1]) ** 2 + least
    return np.array(
        [[[*error.mean(axis=1), covered]] for error in (expected, problem.cost(found, truth))]
    )


def estimate(options):
    """Means and intervals."""
    found = np.moveaxis(run_cells(squared_errors, CELLS, options), 2, 0)
    (values, true_values), covered = found[..., :-1], found[0][..., [-1]]
    title = f"estimate, N={N_ROWS}, n=1 to {MOST_OBSERVATIONS}: squared error over exact Bayes"
    table = Table("estimate", title, CELLS, ["error"], METHODS, values, over_bayes)
    print_table(table)
    print_true(table, true_values)
    normal = table.of_shape("normal").by_cell()[..., NETWORK]
    text = f"normal: network in the worst cell {normal.max():.4f}, {MOST_ERROR:g} asked"
    verdict(text, normal.max() <= MOST_ERROR)
    print_differences(table, [(s, NONPARAMETRIC) for s in ("two-point", "sparse")], more=False)
    value, width = table.of_shape("heavy-tailed").difference(NETWORK, NONPARAMETRIC)
    print(f"heavy-tailed: network minus {METHODS[NONPARAMETRIC]} {value:+.4f} +- {width:.4f}")
    covers = Table(
        "estimate",
        f"estimate: how often {COVERAGE:.0%} intervals cover the mean, %",
        CELLS,
        ["coverage"],
        ["network"],
        100 * covered,
        lambda values: values,
    )
    print_table(covers, digits=1)
    normal = covers.of_shape("normal").by_cell() / 100
    off = np.abs(normal - COVERAGE).max()
    text = f"normal: coverage in the worst cell {100 * off:.1f} points off"
    verdict(f"{text}, {100 * OFF_COVERAGE:g} asked", off <= OFF_COVERAGE)
    return [table, covers]


# ------------------------------------------------------------------ counts


class CountCell(NamedTuple):
    """A law of counts."""

    count_law: object

    @property
    def shape(self):
        return repr(self.count_law)

    def as_dict(self):
        """Of the CSV file."""
        return {"law": self.shape, "evidence": "one observation", "noise": "Poisson"}


def least_errors(law, portfolio):
    """Variance of every row's mean, given what it shows; ndarray of shape (n,)."""
    predictive = law.predictive(portfolio)
    if isinstance(law, Segments):
        away = law.means - predictive.mean()[:, None]
        return (predictive.weights * away**2).sum(axis=1)
    size, p = predictive.parameters  # a mean is gamma-distributed, with rate p / (1 - p)
    return size * ((1 - p) / p) ** 2


class TwoMeans(BaseEstimator):
    """Two Poisson means that make single counts likely, and how many rows have each."""

    def fit(self, X):
        """Expectation and maximization, from quartiles."""
        x = X[:, 0]
        low, high = np.quantile(x, [0.25, 0.75])
        self.means_, self.shares_ = np.array([0.8 * low + 0.1, 1.2 * high + 0.5]), [0.5, 0.5]
        for _ in range(N_EM_STEPS):
            member = self._members(x)
            self.means_ = x @ member / member.sum(axis=0)
            self.shares_ = member.mean(axis=0)
        return self

    def decide(self, X):
        """Expected means."""
        return self._members(X[:, 0]) @ self.means_

    def _members(self, x):
        joint = stats.poisson.pmf(x[:, None], self.means_) * self.shares_
        return joint / joint.sum(axis=1, keepdims=True)


def count_errors(seed, cell, estimators):
    """Expected squared errors of all methods and exact Bayes, of one observation a row."""
    portfolio = cell.count_law.sample(N_ROWS, 1, random_state=seed)
    X, bayes = portfolio.observations, cell.count_law.posterior_mean(portfolio)
    means = np.stack([*(each.fit(X).decide(X) for each in map(clone, estimators)), bayes])
    least = least_errors(cell.count_law, portfolio)
    return np.mean((means - bayes) ** 2 + least, axis=1)[None]


def known_segments(law, bayes):
    """Squared error over that of exact Bayes where only the means of segments are unknown."""
    if not isinstance(law, Segments):
        return "-"
    return f"{1 + law.means.sum() / N_ROWS / bayes:.3f}"  # each varies by mean over rows


def counts(options):
    """Poisson means from one observation each."""
    methods = COUNT_METHODS
    estimators = [
        network("poisson").set_params(problem=Estimation(noise="poisson")),
        network("demand").set_params(problem=Estimation()),
        NonparametricEmpiricalBayes(family="poisson").set_params(problem=Estimation()),
        TwoMeans(),
        SampleAverage().set_params(problem=Estimation()),
    ]
    cells = [CountCell(law) for law in COUNT_LAWS]
    seeds = range(options.first_seed, options.first_seed + options.draws)
    run = partial(count_errors, estimators=estimators)
    values = np.stack([run_all(partial(run, cell=cell), seeds, options.jobs) for cell in cells])
    title = f"counts, N={N_ROWS}, one observation a row: squared error over exact Bayes"
    table = Table("counts", title, cells, ["error"], methods, values, over_bayes)
    print(f"\n{title}")
    print(f"{'':32}" + "".join(f"{method:>26}" for method in methods) + f"{'known segments':>20}")
    figures, widths = with_half_width(over_bayes, values)
    for cell, row, half in zip(cells, figures[:, 0], widths[:, 0], strict=True):
        line = "".join(f"{v:16.3f} +- {w:.3f} " for v, w in zip(row, half, strict=True))
        known = known_segments(cell.count_law, values[cells.index(cell), :, 0, -1].mean())
        print(f"{cell.shape:32}{line}{known:>19}")
    for m in [k for k, method in enumerate(methods) if method.startswith("network")]:
        worst = figures[:, 0, m].max()
        text = f"{methods[m]}: {worst:.3f} under the worst law, {MOST_ERROR:g} asked"
        verdict(text, worst <= MOST_ERROR)
    return [table]


# ------------------------------------------------------------------ finetune


def foreign_portfolio(name, seed):
    """A portfolio of a law that the prior does not have."""
    if name == "lattice":
        return draw_portfolio(NormalPoints(np.arange(-3.0, 4.0), noise=0.7), N_ROWS, seed)
    portfolio = draw_portfolio(NormalPoints(*SHAPES["normal"]), N_ROWS, seed)
    mean, x = portfolio.parameters["mean"][:, None], portfolio.observations
    far = np.random.default_rng([seed, 1]).uniform(size=x.shape) < OUTLIERS
    return portfolio.with_observations(np.where(far, mean + OUTLIER_NOISE * (x - mean), x))


def finetuned_and_frozen(seed, name, problem, estimator):
    """Squared error, or the picks' means above random ones, of both; whether the first changed."""
    portfolio = foreign_portfolio(name, seed)
    X, mean = portfolio.observations, portfolio.parameters["mean"]
    found = []
    for finetune in ("auto", None):
        each = clone(estimator).set_params(problem=problem, finetune=finetune, random_state=seed)
        decisions = each.fit(X).decide(X)
        if isinstance(problem, Selection):
            found.append(decisions @ mean - problem.capacity * mean.mean())
        else:
            found.append(np.mean((decisions - mean) ** 2))
    return np.array([*found, found[0] != found[1]])


def finetune(options):
    """Finetuned networks against frozen ones."""
    n_draws = min(options.draws, MOST_FINETUNED)
    seeds = range(options.first_seed, options.first_seed + n_draws)
    print(
        f"\nfinetune, N={N_ROWS}, n=1 to {MOST_OBSERVATIONS}, {n_draws} draws: auto against frozen"
    )
    problems = {"squared error": Estimation(), "gain of 20 % of the rows": Selection(N_ROWS / 5)}
    for name, (what, problem) in product(("lattice", "outliers"), problems.items()):
        estimator = network(options.checkpoint)
        run = partial(finetuned_and_frozen, name=name, problem=problem, estimator=estimator)
        auto, frozen, changed = run_all(run, seeds, options.jobs).T
        value, width = (100 * part for part in ratio_of_few(auto, frozen))
        better = value - 100 if isinstance(problem, Selection) else 100 - value
        text = f"  {name:9}{what:25} {value - 100:+6.2f} % +- {width:.2f}, changed in"
        text = f"{text} {changed.sum():.0f} of {n_draws}, not worse beyond noise asked"
        verdict(text, better >= -width)


# ------------------------------------------------------------------ the command


def main():
    parts = {part.__name__: part for part in (select, weights, estimate, counts, finetune)}
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    parser.set_defaults(checkpoint="gaussian")
    parser.add_argument("--part", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--draws", type=int, default=20, help="portfolios of a cell")
    options = parser.parse_args()
    tables = [table for part in options.part for table in parts[part](options) or ()]
    if options.csv:
        write_csv(options.csv, [line for table in tables for line in table_lines(table)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
