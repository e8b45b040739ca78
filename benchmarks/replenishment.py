"""Orders week after week: what they cost above the best base stock.

::

    python benchmarks/replenishment.py
    python benchmarks/replenishment.py --part simulated --leads 2 --ratios 0.8
    python benchmarks/replenishment.py --part vn2 --data DIR

``simulated``: rows with a known law, lead times of 0, 1, 2 and 4 periods, orders every period.
Demand beyond stock is owed (backlog) or lost. The reference plays 60 periods, then each method
takes over: 4 periods and two lead times are not charged, the next 12 are. All methods play the same
demand, and are charged what a period costs under the true law, given what can be sold. Demand is
seen in full, also where stock was short.

The reference knows every row's true law: base stock at the quantile of demand over the lead time
and one period (backlog, or no lead time), which is optimal, or at the level that is cheapest by
exhaustive search on long draws of the row's law (lost sales). Methods decide ``Replenishment``:

- true law: told every row's law, so that only the rule of ordering is on trial;
- Bayes: told the law of the portfolio, but of a row only its newest n periods;
- network: the shipped weights on the newest n periods of 500 rows, zero-shot;
- SAA: every row on its own.

``+-`` is the half width of a 95 % interval over rows.

``vn2``: the record of a competition, 599 store-products a week, in eight windows of eight weeks;
``DIR/vn2`` has ``sales.csv.gz`` and ``in_stock.csv.gz``. Orders of the first six weeks arrive three
weeks later; the last six weeks are charged, a unit missing 1, a unit left .2. Methods see all weeks
before, or the newest 10 or 20, weeks out of stock as missing.
"""

import sys
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
import pandas as pd
from common import (
    make_parser,
    network,
    ratio_of_few,
    verdict,
    write_csv,
)
from scipy import stats
from sklearn.base import BaseEstimator

from sklearn_pttf import Column, DecisionMixin, PretrainedDecisionTransformer
from sklearn_pttf.baselines import ExponentialSmoothing, SampleAverage
from sklearn_pttf.problems import Replenishment
from sklearn_pttf.testing import BaseStock, GammaPoisson, LognormalNormal, simulate_stock

LAWS = {repr(law): law for law in (GammaPoisson(2.0, 0.2), LognormalNormal(4.0, 0.3, 0.3))}
N_ROWS = 500
LEADS, RATIOS, WIDTHS = (0, 1, 2, 4), (0.8, 0.95), (5, 20)
RUN_IN = 60  # periods that the reference plays
WARM, CHARGED = 4, 12  # periods: besides two lead times, before costs count, and that count
MOST_BACKLOG, MOST_LOST = 1.5, 2.0  # percent above the reference that are asked of true laws
SEARCHED = np.linspace(0.4, 1.0, 61)  # shares of the level for a backlog, which is never too low
N_SEARCH = 2000  # periods of a search
SEARCH_ROWS = 25  # at a time
N_SUMS = 1_000_000  # draws of a sum of lognormal demands


class Cell(NamedTuple):
    """What is played."""

    law: str
    lost: bool
    lead: int
    ratio: float

    def __str__(self):
        return f"{self.law:24} L={self.lead} {self.ratio:g}"

    @property
    def costs(self):
        return {"shortage": self.ratio, "holding": 1 - self.ratio}

    @property
    def told(self):
        """What the simulator is told."""
        return {"lead_time": self.lead, "lost_sales": self.lost, **self.costs}


# ------------------------------------------------------------------ the reference


def more_demand(law, portfolio, n_periods, rng):
    """Later demand of a portfolio's rows, from their true laws; (n_rows, n_periods)."""
    size = (len(portfolio), n_periods)
    if isinstance(law, GammaPoisson):
        return rng.poisson(portfolio.parameters["mean"][:, None], size).astype(float)
    logs = portfolio.parameters["log_mean"][:, None] + law.noise * rng.normal(size=size)
    return np.exp(logs)


def quantile_levels(cell, portfolio):
    """Quantile of every row's demand over the lead time and one period: best for a backlog."""
    law, n_periods = LAWS[cell.law], cell.lead + 1
    if isinstance(law, GammaPoisson):
        return stats.poisson.ppf(cell.ratio, n_periods * portfolio.parameters["mean"])
    if n_periods == 1:
        return law.truth(portfolio).quantile(cell.ratio)
    noise = law.noise * np.random.default_rng(0).normal(size=(n_periods, N_SUMS))
    one = np.quantile(np.exp(noise).sum(axis=0), cell.ratio)  # rows differ in scale only
    return np.exp(portfolio.parameters["log_mean"]) * one


def searched_levels(cell, portfolio, rng):
    """Cheapest base-stock level of every row with lost sales, of all that are tried."""
    law, lead = LAWS[cell.law], cell.lead
    demand = more_demand(law, portfolio, N_SEARCH, rng)
    levels = quantile_levels(cell, portfolio)[:, None] * SEARCHED
    levels = np.rint(levels) if portfolio.integer else levels
    costs = np.empty(levels.shape)
    for start in range(0, len(levels), SEARCH_ROWS):
        rows = slice(start, start + SEARCH_ROWS)
        tried = levels[rows].ravel()
        played = np.repeat(demand[rows], len(SEARCHED), axis=0)
        record = simulate_stock(played, BaseStock(tried), on_hand=tried, **cell.told)
        found = record.cost_of(slice(5 * (lead + 1), None), by_row=True)
        costs[rows] = found.reshape(-1, len(SEARCHED))
    if not portfolio.integer:  # rows differ in scale only, so all have the same best share
        costs[:] = (costs / levels[:, [-1]]).sum(axis=0)
    return levels[np.arange(len(levels)), costs.argmin(axis=1)]


def reference_levels(cell, portfolio, rng):
    if cell.lost and cell.lead:
        return searched_levels(cell, portfolio, rng)
    return quantile_levels(cell, portfolio)


# ------------------------------------------------------------------ methods


class Told(DecisionMixin, BaseEstimator):
    """Is told a law, and learns nothing."""

    def __init__(self, problem=None, law=None):
        self.problem = problem
        self.law = law

    def fit(self, X, y=None):
        self._read_to_fit(X)
        return self


class TrueLaw(Told):
    """Knows the law of every row, whose first observation is the row's number."""

    def _predict_law(self, portfolio):
        return self.law.take(portfolio.observations[:, 0].astype(int))


class Bayes(Told):
    """Knows the law of the portfolio."""

    def _predict_law(self, portfolio):
        return self.law.predictive(portfolio)


METHODS = ["true law", "Bayes", "network", "SAA"]


def make_estimator(name, cell, portfolio, checkpoint):
    law = LAWS[cell.law]
    if name == "true law":
        return TrueLaw(law=law.truth(portfolio))
    if name == "Bayes":
        return Bayes(law=law)
    return network(checkpoint) if name == "network" else SampleAverage()


class Orders:
    """Policy of an estimator that sees the newest periods, and what is there and under way."""

    def __init__(self, estimator, cell, history):
        self.estimator = estimator
        self.history = history
        n, lead = history.shape[1], cell.lead
        self.problem = Replenishment(
            cell.ratio,
            1 - cell.ratio,
            lead_time=lead,
            on_hand=Column(n),
            on_order=[Column(n + 1 + k) for k in range(lead)] or None,
            lost_sales=cell.lost,
            observations=[Column(k) for k in range(n)],
        )

    def seen(self, state):
        """Newest periods of the table, as many as at first."""
        periods = np.hstack([self.history, state.demand_so_far])
        return periods[:, state.period :]

    def __call__(self, state):
        X = np.column_stack([self.seen(state), state.on_hand, state.on_order])
        if state.period == 0:
            self.estimator.set_params(problem=self.problem).fit(X)
        return self.estimator.decide(X)


class OrdersOfNumbers(Orders):
    """The same of an estimator that knows rows by their numbers, instead of their history."""

    def __init__(self, estimator, cell, portfolio):
        rows = np.arange(len(portfolio))
        second = np.full(len(portfolio), 0.0 if portfolio.integer else 0.5)
        super().__init__(estimator, cell, np.column_stack([rows, second]))

    def seen(self, state):
        return self.history


# ------------------------------------------------------------------ simulated rows


def columns_of(methods, widths):
    """Pairs of a method and a width; the true law needs none."""
    return [
        (name, n) for name in methods for n in ((None,) if name == "true law" else sorted(widths))
    ]


def label(name, n):
    return name if n is None else f"{name} n={n}"


def play(cell, seed, columns, checkpoint):
    """Mean cost of a period of every row, methods first, then the reference; (n_rows, k + 1)."""
    law = LAWS[cell.law]
    n_seen = max(n or 0 for _, n in columns) or 1
    n_periods = 2 * cell.lead + WARM + CHARGED
    portfolio = law.sample(N_ROWS, n_seen + n_periods, random_state=seed)
    history, demand = np.split(portfolio.observations, [n_seen], axis=1)
    rng = np.random.default_rng(seed)
    reference = BaseStock(reference_levels(cell, portfolio, rng))
    start = run_in(cell, portfolio, reference, rng)
    policies = []
    for name, n in columns:
        estimator = make_estimator(name, cell, portfolio, checkpoint)
        if n is None:
            policies.append(OrdersOfNumbers(estimator, cell, portfolio))
        else:
            policies.append(Orders(estimator, cell, history[:, -n:]))
    costs = []
    for policy in [*policies, reference]:
        # later orders arrive after the last period
        record = simulate_stock(
            demand, policy, n_orders=n_periods - cell.lead, **cell.told, **start
        )
        costs.append(expected_costs(record, cell, law.truth(portfolio)))
    return np.stack(costs, axis=1)


def run_in(cell, portfolio, reference, rng):
    """What is there and under way after the reference has played for long."""
    demand = more_demand(LAWS[cell.law], portfolio, RUN_IN, rng)
    record = simulate_stock(demand, reference, on_hand=reference.levels, **cell.told)
    owed = 0.0 if cell.lost else record.short[:, -1]
    return {"on_hand": record.stock[:, -1] - owed, "on_order": record.on_order}


def expected_costs(record, cell, truth):
    """Every row's mean cost of a charged period under its true law, given what could be sold.

    It has the same mean as what was charged, and varies less.
    """
    available = (record.stock - record.short + record.demand)[:, -CHARGED:]
    short = truth.excess(np.maximum(available, 0.0)) + np.maximum(-available, 0.0)
    left = available - truth.mean()[:, None] + short
    return (cell.ratio * short + (1 - cell.ratio) * left).mean(axis=1)


def print_cells(title, cells, columns, found):
    """Percent above the reference, a line a cell; found (n_cells, n_methods, 2)."""
    names = [label(*column) for column in columns]
    print(f"\n{title}: cost above the reference, %")
    print(f"{'':34}" + "".join(f"{name:>17}" for name in names))
    for cell, values in zip(cells, found, strict=True):
        shown = (f"{value:.2f} +- {width:.2f}" for value, width in values)
        print(f"{cell!s:34}" + "".join(f"{text:>17}" for text in shown))
    for what, values in (("mean", found.mean(axis=0)), ("worst cell", found.max(axis=0))):
        print(f"{what:34}" + "".join(f"{value:17.2f}" for value in values[:, 0]), flush=True)


def print_above_bayes(columns, costs):
    """How far the network is above exact Bayes from the same periods, by cell."""
    for n in [n for name, n in columns if name == "network"]:
        if ("Bayes", n) not in columns:
            continue
        pair = [columns.index((name, n)) for name in ("network", "Bayes")]
        found = np.array([excess(of_cell[:, pair]) for of_cell in costs])[:, 0, 0]
        mean, worst = found.mean(), found.max()
        print(
            f"network above Bayes, n={n}: mean {mean:.2f} %, worst cell {worst:.2f} %", flush=True
        )


def simulated(options):
    """Rows with a known law; a verdict for backlog and one for lost sales."""
    columns = columns_of(options.methods, options.widths)
    seeds = range(options.first_seed, options.first_seed + options.draws)
    run = partial(play, columns=columns, checkpoint=options.checkpoint)
    parallel = joblib.Parallel(n_jobs=options.jobs)
    lines = []
    for lost, most in ((False, MOST_BACKLOG), (True, MOST_LOST)):
        cells = [
            Cell(law, lost, *case) for law, *case in product(LAWS, options.leads, options.ratios)
        ]
        tasks = (joblib.delayed(run)(cell, seed) for cell, seed in product(cells, seeds))
        costs = np.stack(parallel(tasks)).reshape(len(cells), len(seeds) * N_ROWS, -1)
        found = np.array([excess(of_cell) for of_cell in costs])
        title = "lost sales" if lost else "backlog"
        print_cells(title, cells, columns, found)
        print_above_bayes(columns, costs)
        if ("true law", None) in columns:
            worst = found[:, columns.index(("true law", None)), 0].max()
            verdict(
                f"{title}, true law: worst {worst:.2f} %, at most {most:g} asked", worst <= most
            )
        lines += [
            {**cell._asdict(), "method": label(*column), "above_percent": f"{value:.3f}"}
            | {"half_width": f"{width:.3f}"}
            for cell, values in zip(cells, found, strict=True)
            for column, (value, width) in zip(columns, values, strict=True)
        ]
    return lines


def excess(costs):
    """Percent above the last column, and half the width of its interval; (k - 1, 2)."""
    found = np.array([ratio_of_few(each, costs[:, -1]) for each in costs[:, :-1].T])
    return 100 * (found - [1, 0])


FIRST_WEEKS = range(85, 142, 8)
COSTS = {"shortage": 1.0, "holding": 0.2, "lead_time": 2}
N_WEEKS, N_ORDERS, N_USUAL = 8, 6, 13
SHOWN = (None, 10, 20)  # newest weeks that are seen; None: all


class Record(NamedTuple):
    """Sales of a week, which are its demand, and what was in stock."""

    sold: np.ndarray  # (n, weeks)
    seen: np.ndarray  # the same, NaN where out of stock
    weeks: pd.DatetimeIndex

    @classmethod
    def read(cls, folder):
        tables = [
            pd.read_csv(folder / "vn2" / f"{name}.csv.gz", index_col=["Store", "Product"])
            for name in ("sales", "in_stock")
        ]
        sold, in_stock = (table.to_numpy(dtype=float) for table in tables)
        return cls(sold, np.where(in_stock > 0, sold, np.nan), pd.to_datetime(tables[0].columns))

    def start(self, first):
        """Neutral stock and pipeline: two usual weeks on hand, one in each of the next two."""
        newest = [row[~np.isnan(row)][-N_USUAL:] for row in self.seen[:, :first]]
        usual = np.rint([row.mean() if len(row) else 0.0 for row in newest])
        stock = np.rint([2 * row.mean() if len(row) else 0.0 for row in newest])
        return {"on_hand": stock, "on_order": np.stack([usual, usual], axis=1)}

    def cost(self, rule, first):
        """What a rule pays in the weeks that its orders reach."""

        def policy(state):
            return rule(self, first + state.period, state)

        coming = self.sold[:, first : first + N_WEEKS]
        record = simulate_stock(coming, policy, n_orders=N_ORDERS, **COSTS, **self.start(first))
        return float(np.sum(record.cost_of(slice(COSTS["lead_time"], None))))


def organiser(record, n_known, state):
    """Week-of-year index over all rows; up to four weeks of the newest 13 without that index."""
    week = record.weeks.isocalendar().week.to_numpy().clip(max=52).astype(int)
    known = record.seen[:, :n_known]
    index = np.ones(53)
    total = np.nanmean(known, axis=0)
    for k in np.unique(week[:n_known]):
        index[k] = total[week[:n_known] == k].mean()
    index[1:] /= index[1:].mean()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows that were out of stock throughout
        usual = np.nan_to_num(np.nanmean((known / index[week[:n_known]])[:, -N_USUAL:], axis=1))
    coming = week[n_known : n_known + 4]
    level = usual * (index[coming].sum() + (4 - len(coming)))
    return np.rint(np.maximum(level - state.position, 0.0))


def decided(make, n_seen, seasons):
    """A rule that decides `Replenishment` by an estimator, fitted anew every week."""

    def rule(record, n_known, state):
        known = record.seen[:, max(0, n_known - (n_seen or n_known)) : n_known]
        known = known[:, np.flatnonzero(~np.isnan(known).all(axis=0))[0] :]
        n = known.shape[1]
        problem = Replenishment(
            on_hand=Column(n),
            on_order=[n + 1, n + 2],
            observations=list(range(n)),
            ordered=True,
            seasons=seasons,
            **COSTS,
        )
        table = np.column_stack([known, state.on_hand, state.on_order])
        return make(problem).fit(table).decide(table)

    return rule


def vn2(options):
    """The eight windows; one line a method."""
    if options.data is None:
        raise SystemExit("--part vn2 needs --data, the folder that holds vn2/")
    record = Record.read(options.data)
    made = {
        "network": lambda problem: PretrainedDecisionTransformer(problem, finetune=None),
        "smoothing": ExponentialSmoothing,
        "SAA": SampleAverage,
    }
    rules = {("organiser", None): organiser}
    for (name, make), n_seen in product(made.items(), SHOWN):
        # weeks that are fewer than a year say nothing of its season
        rules[name, n_seen] = decided(make, n_seen, None if n_seen else (52,))
    print("\nvn2: cost of six weeks, by first week\n" + " " * 18, *FIRST_WEEKS, "mean", sep="   ")
    lines = []
    for (name, n_seen), rule in rules.items():
        costs = [record.cost(rule, first) for first in FIRST_WEEKS]
        seen = f"{n_seen or 'all'} weeks"
        print(f"{name:10} {seen:9}", *(f"{cost:6.0f}" for cost in [*costs, np.mean(costs)]))
        lines.append({"part": "vn2", "method": name, "seen": seen, "cost": f"{np.mean(costs):.0f}"})
    return lines


PARTS = {"simulated": simulated, "vn2": vn2}


def main(arguments=None):
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=["simulated"])
    parser.add_argument("--data", type=Path, help="folder of real tables, for vn2")
    parser.add_argument("--leads", nargs="+", type=int, default=LEADS, help="lead times")
    parser.add_argument("--ratios", nargs="+", type=float, default=RATIOS, help="critical ratios")
    parser.add_argument("--widths", nargs="+", type=int, default=WIDTHS, help="periods seen")
    parser.add_argument("--draws", type=int, default=1, help="of 500 rows a cell")
    parser.add_argument(
        "--methods",
        nargs="+",
        choices=METHODS,
        default=METHODS,
        metavar="NAME",
        help="some of them",
    )
    options = parser.parse_args(arguments)
    lines = [line for part in options.part for line in PARTS[part](options)]
    if options.csv:
        write_csv(options.csv, lines)
    return lines


if __name__ == "__main__":
    main()
    sys.exit(0)
