"""Decision problems: shared limits, horizons and own costs, what they lose and how long they take.

::

    python benchmarks/problems.py                          # all parts
    python benchmarks/problems.py --part limit horizon     # some of them

``limit``: orders that share a limit, of 50, 80 or 100 % of what exact Bayes would use freely: a
limit on units, and one on money at random prices. Against exact Bayes under the same limit; beside
it the common practice, the network's free orders scaled down to the limit (counts rounded down).

``horizon``: orders that cover H periods, against exact Bayes for the total of these. Beside it H
times the order of one period, and the network's law with periods taken to be independent.

``own``: a cost function of one's own that is the newsvendor's, against `Newsvendor` itself, on the
same laws. ``whole``: whole-number orders under a limit on random small portfolios, against the
optimum by dynamic programming. ``speed``: a million rows under limits, laws given; seconds, as of
``own``, are of CPU, of one thread. ``files``: the command line on a long file, import and network
included.

Costs of ``limit`` and ``horizon`` are exact under the true law; ``+-`` is the half width of a 95 %
interval, by resampling portfolios. ``--csv`` writes the cells of these two.
"""

import json
import subprocess
import sys
import time
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
from common import (
    LAWS,
    TAUS,
    above,
    cell_lines,
    make_parser,
    mean_above,
    network,
    percent_above,
    run_all,
    verdict,
    with_half_width,
    write_csv,
)
from scipy import special
from sklearn.base import clone

from sklearn_pttf import Column, Portfolio
from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.horizon import law_of_total
from sklearn_pttf._laws.parametric import NegativeBinomialLaw, PoissonLaw
from sklearn_pttf.problems import DecisionProblem, Newsvendor, PerRow
from sklearn_pttf.testing import GammaPoisson

N_ROWS, WIDTHS = 500, (3, 10)
BAYES = -1  # exact Bayes is the last method
LIMIT_TAU, SHARES = 0.9, (0.5, 0.8, 1.0)
LIMIT_METHODS = ["network", "scaled down", "Bayes"]
HORIZONS = (2, 4, 8)
HORIZON_METHODS = ["network", "H times one", "independent", "Bayes"]
COUNT_LAWS = [law for law in LAWS if isinstance(law, GammaPoisson)]
CONTINUOUS_LAWS = [law for law in LAWS if law not in COUNT_LAWS]
SAME = 1e-5  # what orders may differ by and be called the same
MOST_LIMITED, MOST_HORIZON = 1.5, 3.0  # percent above exact Bayes that are asked
N_MANY, N_GROUPS, MOST_SECONDS = 1_000_000, 1_000, 5.0
N_SMALL = 200  # portfolios of few rows
SKUS, DAYS = 20_000, 30

# a small process, so that the peak is of the command and not of this one when it forked
TIMED = """
import json, resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e6]))
"""


class Table(NamedTuple):
    """Costs ``(n_laws, n_draws, n_columns, n_methods)``; a column is a case and a ratio."""

    part: str
    title: str
    n_observations: int
    laws: list
    columns: list
    methods: list
    costs: np.ndarray


def print_table(table):
    """The network's excess over exact Bayes by law, then the mean over laws of every method."""
    excess = above(table.costs.mean(axis=1), BAYES)
    print(f"\n{table.title}, n={table.n_observations}: cost above exact Bayes, %")
    print(f"{'':29}" + "".join(f"{f'{case} {tau:g}':>10}" for case, tau in table.columns))
    rows = [(repr(law), by_column[:, 0]) for law, by_column in zip(table.laws, excess, strict=True)]
    means = excess.mean(axis=0)
    rows += [(f"mean, {name}", means[:, m]) for m, name in enumerate(table.methods[:BAYES])]
    for name, values in rows:
        print(f"{name:29}" + "".join(f"{value:10.2f}" for value in values))


def print_headline(table, most):
    """Mean over laws and columns, and the worst cell, of which something is asked."""
    means, widths = with_half_width(mean_above(BAYES), table.costs)
    worst = above(table.costs.mean(axis=1), BAYES).max(axis=(0, 1))
    for m, name in enumerate(table.methods[:BAYES]):
        print(f"  {name:13} mean {means[m]:6.2f} +- {widths[m]:.2f}, worst cell {worst[m]:6.2f}")
    verdict(f"network at most {most:g} % above in every cell", worst[0] <= most)


def table_lines(table):
    """Of the CSV file."""
    for k, (case, tau) in enumerate(table.columns):
        cells = [
            {
                "part": table.part,
                "law": repr(law),
                "n": table.n_observations,
                "case": f"{table.title}, {case}",
            }
            for law in table.laws
        ]
        yield from cell_lines(cells, [tau], table.methods, table.costs[:, :, [k]], BAYES)


def run_laws(function, laws, n_observations, options):
    """``function(seed, law, n_observations, estimator)`` of all laws and draws, stacked."""
    estimator = network(options.checkpoint)
    seeds = range(options.first_seed, options.first_seed + options.draws)
    run = partial(function, n_observations=n_observations, estimator=estimator)
    return np.stack([run_all(partial(run, law=law), seeds, options.jobs) for law in laws])


# ------------------------------------------------------------------ limit


def limited_costs(seed, law, n_observations, estimator):
    """Costs under limits, and in the last place the most used of them; (2, n_shares, 4)."""
    portfolio = law.sample(N_ROWS, n_observations, random_state=seed)
    X = portfolio.observations
    laws = [estimator.fit(X).predict_distribution(X), law.predictive(portfolio)]
    prices = np.random.default_rng(seed).uniform(1.0, 10.0, size=N_ROWS)
    return np.array(
        [
            [costs_under_limit(X, weights, share, laws, law.truth(portfolio)) for share in SHARES]
            for weights in (np.ones(N_ROWS), prices)
        ]
    )


def costs_under_limit(X, weights, share, laws, truth):
    """Mean costs of LIMIT_METHODS under a share of what exact Bayes uses freely, and the use."""
    table = np.column_stack([X, weights])
    free = Newsvendor.from_service_level(LIMIT_TAU, limit_weights=Column(X.shape[1]))
    portfolio = free.read(table)
    orders, bayes = (free.solve(law, portfolio) for law in laws)
    limit = share * float(weights @ bayes)
    scaled = orders * min(1.0, limit / (weights @ orders))
    scaled = np.floor(scaled) if portfolio.integer else scaled
    problem = clone(free).set_params(limit=limit)
    portfolio = problem.read(table)
    orders, bayes = (problem.solve(law, portfolio) for law in laws)
    costs = [problem.expected_cost(d, truth, portfolio).mean() for d in (orders, scaled, bayes)]
    return [*costs, max(weights @ orders, weights @ bayes) / limit]


def limit(options):
    """A limit that rows share."""
    columns = [(f"{share:.0%}", LIMIT_TAU) for share in SHARES]
    found = [run_laws(limited_costs, LAWS, n, options) for n in WIDTHS]
    tables, used = [], []
    for (k, kind), (n, values) in product(
        enumerate(("units", "money")), zip(WIDTHS, found, strict=True)
    ):
        costs, use = values[:, :, k, :, :-1], values[:, :, k, :, -1]
        tables.append(Table("limit", f"limit on {kind}", n, LAWS, columns, LIMIT_METHODS, costs))
        used.append(use)
        print_table(tables[-1])
        print_headline(tables[-1], MOST_LIMITED)
    kept = np.array(used) <= 1 + 1e-9
    verdict(f"limit kept in {kept.sum()} of {kept.size} runs", kept.all())
    return tables


# ------------------------------------------------------------------ horizon


def horizon_costs(seed, law, n_observations, estimator):
    """Costs of orders for several periods; (n_horizons * n_taus, n_methods)."""
    portfolio = law.sample(N_ROWS, n_observations, random_state=seed)
    X = portfolio.observations
    one = estimator.fit(X).predict_distribution(X)
    by_horizon = []
    for horizon in HORIZONS:
        total = estimator.predict_distribution(X, horizon=horizon)
        # a second period that is predicted the same after every first one
        independent = law_of_total(lambda _: one, portfolio, one, horizon)
        laws = [total, independent]
        by_horizon.append(costs_of_totals(law, portfolio, horizon, one=one, laws=laws))
    return np.concatenate(by_horizon)


def costs_of_totals(law, portfolio, horizon, one, laws):
    """Costs of HORIZON_METHODS under the true law of the total; (n_taus, n_methods)."""
    size = law.shape + portfolio.observations.sum(axis=1)
    rate = law.rate + portfolio.counts
    bayes = NegativeBinomialLaw(size, rate / (rate + horizon))
    truth = PoissonLaw(horizon * portfolio.parameters["mean"])
    costs = []
    for tau in TAUS:
        problem = Newsvendor.from_service_level(tau)
        read = problem.read(portfolio.observations)
        total, independent, best = (problem.solve(each, read) for each in (*laws, bayes))
        decisions = [total, horizon * problem.solve(one, read), independent, best]
        costs.append([problem.expected_cost(d, truth, read).mean() for d in decisions])
    return np.array(costs)


def horizon(options):
    """Orders for several periods."""
    columns = [(f"H={horizon}", tau) for horizon, tau in product(HORIZONS, TAUS)]
    tables = []
    for n in WIDTHS:
        costs = run_laws(horizon_costs, COUNT_LAWS, n, options)
        tables.append(Table("horizon", "horizon", n, COUNT_LAWS, columns, HORIZON_METHODS, costs))
        print_table(tables[-1])
        print_headline(tables[-1], MOST_HORIZON)
    return tables


# ------------------------------------------------------------------ own


class OwnNewsvendor(DecisionProblem):
    """The newsvendor's cost, as a user would write it."""

    def __init__(self, underage=1.0, overage=1.0):
        self.underage = underage
        self.overage = overage

    def cost(self, decision, outcome):
        short, left_over = np.maximum(outcome - decision, 0), np.maximum(decision - outcome, 0)
        return self.underage * short + self.overage * left_over


def own(options):
    """Orders by search against orders by formula."""
    print(f"\nown cost function, N={N_ROWS}, n=10: orders against Newsvendor's")
    for kind, laws in (("counts", COUNT_LAWS), ("continuous", CONTINUOUS_LAWS)):
        found = [own_against_formula(law, options) for law in laws]
        differences, seconds = (np.array(each) for each in zip(*found, strict=True))
        searched, formula = seconds.sum(axis=(0, 1))
        print(
            f"  {kind:10} same to {SAME:g} in {np.mean(differences < SAME):.2%} of rows, largest "
            f"difference {differences.max():.1e}; {differences.size:,} rows in {searched:.2f} s by "
            f"search, {formula:.3f} s by formula"
        )


def own_against_formula(law, options):
    """Differences of orders, relative from one unit on, and seconds of both; a row a ratio."""
    X = law.sample(N_ROWS, 10, random_state=options.first_seed).observations
    predicted = network(options.checkpoint).fit(X).predict_distribution(X)
    differences, seconds = [], []
    for tau in TAUS:
        (searched, slow), (formula, fast) = (
            timed(problem.solve, predicted, problem.read(X))
            for problem in (OwnNewsvendor(tau, 1 - tau), Newsvendor(tau, 1 - tau))
        )
        differences.append(np.abs(searched - formula) / np.maximum(formula, 1.0))
        seconds.append((slow, fast))
    return differences, seconds


def timed(solve, law, portfolio):
    """What a method of a problem gives, and the seconds of CPU that it took, of one thread."""
    began = time.process_time()
    found = solve(law, portfolio)
    return found, time.process_time() - began


# ------------------------------------------------------------------ whole


def least_cost(costs, weights, limit):
    """Least cost within a limit, by dynamic programming over what is used.

    Parameters
    ----------
    costs : ndarray of shape (n_units, n_rows)
        Of 0, 1, 2, ... units.

    weights : ndarray of int of shape (n_rows,)

    limit : int
    """
    best = np.zeros(limit + 1)  # with at most so much used
    for by_units, weight in zip(costs.T, weights, strict=True):
        with_row = np.full(limit + 1, np.inf)
        for units in range(min(len(by_units) - 1, limit // weight) + 1):
            used = units * weight
            rest = best[: limit + 1 - used]
            with_row[used:] = np.minimum(with_row[used:], rest + by_units[units])
        best = with_row
    return best[-1]


def small_portfolio(rng, seed, equal):
    """Laws and portfolio of at most 12 rows, free orders, and a limit that binds."""
    n_rows = rng.integers(2, 13)
    law = GammaPoisson(2.0, 0.2)
    law = law.predictive(law.sample(n_rows, 3, random_state=seed))
    costs = {"underage": rng.uniform(1.0, 9.0, n_rows), "overage": np.ones(n_rows)}
    weights = np.ones(n_rows) if equal else rng.integers(1, 21, n_rows).astype(float)
    portfolio = Portfolio(np.zeros((n_rows, 1)), costs, {"limit_weights": weights}, integer=True)
    free = Newsvendor().solve(law, portfolio)
    return law, portfolio, free, int(rng.uniform(0.1, 0.9) * (weights @ free))


def small_gaps(seed, equal):
    """Cost above optimum and dual bound in percent, and the latter in savings of one unit."""
    law, portfolio, free, limit = small_portfolio(np.random.default_rng(seed), seed, equal)
    weights = portfolio.constraints["limit_weights"]
    orders, info = Newsvendor(limit=limit).solve_with_info(law, portfolio)
    costs = np.stack(
        [
            Newsvendor().expected_cost(np.full(len(law), units), law, portfolio)
            for units in np.arange(free.max() + 1)
        ]
    )
    cost = costs[orders.astype(int), np.arange(len(law))].sum()
    optimum = least_cost(costs, weights.astype(int), limit)
    # the first unit that is too many saves the shadow price times its weight
    saving = -np.diff(costs, axis=0)
    unit = saving.flat[np.abs(saving / weights - info["shadow_price"]).argmin()]
    bound = info["dual_bound"]
    return [
        percent_above(cost, optimum),
        percent_above(cost, bound),
        (cost - bound) / unit,
        weights @ orders <= limit,
    ]


def whole(options):
    """Whole-number orders under a limit against the optimum."""
    print(f"\nwhole numbers under a limit, {N_SMALL} portfolios of 2 to 12 rows")
    for kind in ("unequal", "equal"):
        run = partial(small_gaps, equal=kind == "equal")
        gaps = run_all(run, range(options.first_seed, options.first_seed + N_SMALL), options.jobs)
        optimum, bound, units, kept = gaps.T
        print(
            f"  {kind:7} weights: above the optimum {optimum.mean():.2f} % (largest "
            f"{optimum.max():.2f}), not at all in {np.mean(optimum < 1e-9):.0%}; above the dual "
            f"bound {bound.mean():.2f} % (largest {bound.max():.2f})"
        )
        text = f"at most {units.max():.2f} of a unit's saving above the bound, 1 asked"
        verdict(f"  {text}, limit kept in {kept.mean():.0%}", units.max() <= 1 and kept.all())


# ------------------------------------------------------------------ speed


def many_laws(integer):
    """Laws of many rows that differ in level and spread, with about the network's knots."""
    rng = np.random.default_rng(0)
    levels = special.expit(np.linspace(-6.9, 6.9, 33))
    level, spread = rng.lognormal(2.0, 1.0, N_MANY), rng.uniform(0.2, 1.0, N_MANY)
    quantiles = level[:, None] * np.exp(spread[:, None] * special.ndtri(levels))
    return QuantileGrid(quantiles, levels, integer)


def speed(options):
    """Seconds of deciding many rows under limits, laws given."""
    rng = np.random.default_rng(1)
    prices, groups = rng.uniform(1.0, 10.0, N_MANY), rng.integers(N_GROUPS, size=N_MANY)
    X = np.column_stack([np.zeros(N_MANY), prices, groups])
    free = Newsvendor(4.0, 1.0, observations=[0], limit_weights=Column(1))
    print(f"\n{N_MANY:,} rows, limit 70 % of what free orders use: seconds of solve, laws given")
    for integer, kind in ((False, "continuous"), (True, "whole numbers")):
        law = many_laws(integer)
        orders, seconds = timed(free.solve, law, free.read(X, integer=integer))
        print(f"  {kind:13} no limit      {seconds:5.2f} s")
        one = clone(free).set_params(limit=PerRow(0.7 * float(prices @ orders) / N_MANY))
        by_group = clone(one).set_params(groups=Column(2))
        for name, problem in (("one limit", one), (f"{N_GROUPS:,} limits", by_group)):
            _, seconds = timed(problem.solve, law, problem.read(X, integer=integer))
            text = f"  {kind:13} {name:12} {seconds:6.2f} s, under {MOST_SECONDS:g} asked"
            verdict(text, seconds < MOST_SECONDS)
        _, seconds = timed(one.solve_with_info, law, one.read(X, integer=integer))
        print(f"  {kind:13} one limit    {seconds:6.2f} s with the info")


# ------------------------------------------------------------------ files


def sales_frame(seed):
    """Daily sales of many products, a line each."""
    rng = np.random.default_rng(seed)
    units = rng.poisson(rng.gamma(2.0, 5.0, (SKUS, 1)), (SKUS, DAYS))
    dates = pd.date_range("2025-01-01", periods=DAYS).strftime("%Y-%m-%d")
    skus = [f"sku-{k:05}" for k in range(SKUS)]
    return pd.DataFrame(
        {"sku": np.repeat(skus, DAYS), "date": np.tile(dates, SKUS), "units": units.ravel()}
    )


def files(options):
    """Seconds and peak memory of the command line on a long file, in fresh processes."""
    frame = sales_frame(options.first_seed)
    print(f"\ncommand line, {len(frame):,} lines of sales")
    with TemporaryDirectory() as folder:
        sales, out = Path(folder) / "sales.csv", Path(folder) / "orders.csv"
        frame.to_csv(sales, index=False)
        command = [sys.executable, "-m", "sklearn_pttf", "decide", str(sales), "--out", str(out)]
        command += ["--instance", "sku", "--value", "units", "--time", "date"]
        command += ["--underage", "4", "--overage", "1", "--quiet"]
        command += ["--checkpoint", options.checkpoint]
        for finetune in ("none", "auto"):
            timed_command = [sys.executable, "-c", TIMED, *command, "--finetune", finetune]
            measured = subprocess.run(timed_command, check=True, stdout=subprocess.PIPE, text=True)
            seconds, cpu, peak = json.loads(measured.stdout)
            print(
                f"  {len(pd.read_csv(out)):,} orders, finetune {finetune}: {seconds:.1f} s "
                f"({cpu:.1f} s of CPU), peak {peak:.2f} GB"
            )


# ------------------------------------------------------------------ the command


def main():
    parts = {part.__name__: part for part in (limit, horizon, own, whole, speed, files)}
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    parser.add_argument("--part", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--draws", type=int, default=5, help="portfolios of a law")
    options = parser.parse_args()
    tables = [table for part in options.part for table in parts[part](options) or ()]
    if options.csv:
        write_csv(options.csv, [line for table in tables for line in table_lines(table)])
    return 0


if __name__ == "__main__":
    sys.exit(main())
