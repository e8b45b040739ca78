"""Pricing: lost profit against exact Bayes and full information, and demand at real prices.

::

    python benchmarks/pricing.py                                   # 10 minutes
    python benchmarks/pricing.py --part linear curves --draws 5
    python benchmarks/pricing.py --part real finetune --table orange_juice.csv.gz

``linear``: demand is linear in price with coefficients that are bivariate normal over rows; the
exact Bayes price, which knows that, is closed-form. Lost profit is that of Bayes less that of a
method, over that of Bayes. ``curves``: logit, exponential and constant-elasticity demand, and
segments of elasticity; lost against the price that knows the row's true curve. ``single``: every
row has had one price, of several over the portfolio; profit against keeping the old price.
``real``: weekly sales of orange juice; n of the weeks before the last ten are seen, and demand in
the last ten, at the prices that were set, is charged by the pinball loss. ``finetune``: the same
with 800 rows, finetuned and as pretrained. ``stock``: curves, of whose demand shelves that hold a
multiple of what their row usually sells capped a part; lost by those who know all demand, are told
stock, take sales for demand, or leave capped ones out. ``speed``: rows a second.

Methods are paired: they see the same draws. ``+-`` is the half width of a 95 % interval over draws.
"""

import sys
import time
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import joblib
import numpy as np
from common import make_parser, mean_of_few, network, ratio_of_few, verdict, write_csv
from sklearn.base import clone

from sklearn_pttf import Column
from sklearn_pttf.baselines import PerRowDemandCurve, PooledDemandCurve
from sklearn_pttf.problems import Pricing
from sklearn_pttf.testing import LinearDemand

METHODS = ("network", "pooled curve", "per-row curve")
WIDTHS, SIZES = (3, 5, 10), (50, 500)
UNIT_COST = 1.0
LINEAR = {  # each with bounds of at least 40 % around the best price
    "alike": (LinearDemand(100.0, 10.0, 8.0, 0.8, 0.8, 4.0, (4.4, 6.6)), (3.0, 7.9)),
    "unlike": (LinearDemand(100.0, 10.0, 15.0, 1.6, 0.9, 4.0, (4.4, 6.6)), (3.0, 7.9)),
    "noisy": (LinearDemand(100.0, 10.0, 12.0, 1.2, 0.9, 7.0, (4.4, 6.6)), (3.0, 7.9)),
}
READINGS = ("full demand", "stock=", "sold_out=", "as sold", "left out")
LAST_WEEKS = 10
LEVELS = np.arange(1, 20) / 20


class Curve(NamedTuple):
    """Demand of rows at prices, by a family of curves; elasticity is that at the usual price."""

    family: str
    elasticity: float = 2.0
    spread: float = 0.25  # of log elasticities; of two segments: half of their distance
    segments: bool = False
    counts: bool = False
    noise: float = 0.3

    def __str__(self):
        kind = ", segments" if self.segments else ""
        return f"{self.family} {self.elasticity:g}{kind}{', counts' if self.counts else ''}"

    def draw_rows(self, rng, N):
        scores = rng.choice([-1.0, 1.0], size=N) if self.segments else rng.normal(size=N)
        return {
            "level": np.exp(3.0 + 0.6 * rng.normal(size=N)),
            "usual": np.exp(1.6 + 0.3 * rng.normal(size=N)),
            "elasticity": self.elasticity * np.exp(self.spread * scores),
        }

    def demand(self, rows, price):
        """Expected demand at prices of shape (n,) or (n, m)."""
        own = {k: v if price.ndim == 1 else v[:, None] for k, v in rows.items()}
        relative, e = price / own["usual"], own["elasticity"]
        if self.family == "constant":
            share = relative**-e
        elif self.family == "exponential":
            share = np.exp(-e * (relative - 1))
        else:  # logit, six tenths of all buyers at the usual price
            share = 1 / (0.6 + 0.4 * np.exp(e / 0.4 * (relative - 1)))
        return own["level"] * share

    def sales(self, rng, rows, price):
        mean = self.demand(rows, price)
        if self.counts:
            return rng.poisson(mean).astype(float)
        variance = np.log1p(self.noise**2)
        return mean * np.exp(np.sqrt(variance) * rng.normal(size=mean.shape) - variance / 2)


CURVES = [
    Curve("logit"),
    Curve("exponential"),
    Curve("constant", 2.5),
    Curve("constant", 2.5, 0.5, segments=True),
    Curve("exponential", 2.0, 0.5, segments=True),
    Curve("logit", counts=True),
    Curve("exponential", counts=True),
    Curve("constant", 2.5, counts=True),
]


def table_of(prices, demand, *others):
    """X, and the problem's columns of prices and demand."""
    n = prices.shape[1]
    X = np.column_stack([prices, demand, *others])
    return X, dict(prices=list(range(n)), demands=list(range(n, 2 * n)))


def fitted(problem, X, pretrained):
    """The methods, fitted."""
    estimators = (
        clone(pretrained).set_params(problem=problem),
        PooledDemandCurve(problem),
        PerRowDemandCurve(problem),
    )
    return [each.fit(X) for each in estimators]


# ------------------------------------------------------------------ prices


def linear_profits(seed, name, N, n, pretrained):
    """True mean profit of Bayes and of the methods."""
    law, bounds = LINEAR[name]
    portfolio = law.sample(N, n, random_state=seed)
    X, columns = table_of(portfolio.prices, portfolio.observations)
    problem = Pricing(**columns, unit_cost=UNIT_COST, bounds=bounds)
    prices = [law.best_price(portfolio, *bounds, UNIT_COST)]
    prices += [each.decide(X) for each in fitted(problem, X, pretrained)]
    return [((p - UNIT_COST) * law.demand(portfolio, p)).mean() for p in prices]


def curve_profits(seed, curve, N, n, pretrained, single=False):
    """True mean profit with full information, of the methods, and of the old prices."""
    rng = np.random.default_rng([seed, N, n])
    rows = curve.draw_rows(rng, N)
    if single:  # one product in many stores
        rows["usual"] = np.full(N, 5.0)
        old = 5.0 * rng.choice([0.8, 0.9, 1.0, 1.1, 1.25], size=N)
        prices = np.repeat(old[:, None], n, axis=1)
    else:
        few = np.exp(0.15 * rng.normal(size=(N, 4)))
        chosen = np.take_along_axis(few, rng.integers(4, size=(N, n)), axis=1)
        prices = rows["usual"][:, None] * chosen
        old = rows["usual"]
    demand = curve.sales(rng, rows, prices)
    cost, low, high = 0.5 * rows["usual"], 0.6 * rows["usual"], 1.7 * rows["usual"]
    X, columns = table_of(prices, demand, cost, low, high)
    problem = Pricing(
        **columns, unit_cost=Column(2 * n), bounds=(Column(2 * n + 1), Column(2 * n + 2))
    )
    grid = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 400)
    best = ((grid - cost[:, None]) * curve.demand(rows, grid)).max(axis=1)
    chosen = [each.decide(X) for each in fitted(problem, X, pretrained)] + [old]
    return [best.mean()] + [((p - cost) * curve.demand(rows, p)).mean() for p in chosen]


def run(function, seeds, jobs):
    """``function(seed)`` of all seeds; ``(n_draws, n_methods)``."""
    return np.array(joblib.Parallel(jobs)(joblib.delayed(function)(seed) for seed in seeds))


def lost(profits):
    """Profit lost against the first column, in percent, with half widths; ``(n_methods,)``."""
    pairs = [ratio_of_few(profits[:, k], profits[:, 0]) for k in range(1, profits.shape[1])]
    return 100 * (1 - np.array([p for p, _ in pairs])), 100 * np.array([w for _, w in pairs])


def print_losses(title, cells, options, lines):
    """A table of lost profit; results by cell."""
    print(f"\n{title}: lost profit, %")
    print(f"{'':44}" + "".join(f"{m:>20}" for m in METHODS))
    results = {}
    for cell, function in cells.items():
        profits = run(function, seeds_of(options), options.jobs)
        values, widths = lost(profits[:, :4])
        results[cell] = profits, values, widths
        row = "".join(f"{v:12.2f} +- {w:4.2f}" for v, w in zip(values, widths, strict=True))
        print(f"{cell:44}{row}", flush=True)
        for method, v, w in zip(METHODS, values, widths, strict=True):
            lines.append(dict(part=title, cell=cell, method=method, lost=v, half_width=w))
    mean = np.mean([values for _, values, _ in results.values()], axis=0)
    print(f"{'mean':44}" + "".join(f"{v:12.2f}        " for v in mean))
    return results


def linear(options, pretrained, lines):
    """Linear demand against exact Bayes."""
    cells = {
        f"{name}, N={N}, n={n}": partial(linear_profits, name=name, N=N, n=n, pretrained=pretrained)
        for name, N, n in product(LINEAR, SIZES, WIDTHS)
    }
    results = print_losses("linear", cells, options, lines)
    values = np.array([v for _, v, _ in results.values()])
    better = values[:, 1:].min(axis=1)
    verdict(f"largest loss {values[:, 0].max():.2f} %, at most 2 asked", values[:, 0].max() <= 2)
    half = (values[:, 0] <= better / 2).sum()
    text = f"at most half of the better baseline's in {half} of {len(values)} cells; on average "
    text += f"{values[:, 0].mean():.2f} against {better.mean():.2f}"
    verdict(text, half == len(values))


def curves(options, pretrained, lines):
    """Other curves against full information."""
    cells = {
        f"{curve}, N={N}, n={n}": partial(
            curve_profits, curve=curve, N=N, n=n, pretrained=pretrained
        )
        for curve, N, n in product(CURVES, SIZES, WIDTHS)
    }
    results = print_losses("curves", cells, options, lines)
    values = np.array([v for _, v, _ in results.values()]).mean(axis=0)
    verdict("mean below both baselines'", values[0] < values[1:].min())
    above = []
    for cell, (profits, own, _) in results.items():
        rival = 2 + int(np.argmin(own[1:]))
        gap, half = mean_of_few((profits[:, rival] - profits[:, 1]) / profits[:, 0])
        if gap > half:
            above.append(f"{cell} ({100 * gap:+.2f} +- {100 * half:.2f})")
    verdict(
        f"significantly above the better baseline in: {'; '.join(above) or 'no cell'}", not above
    )


def single(options, pretrained, lines):
    """One historical price a row."""
    print("\nsingle: profit over that of the old prices, %")
    gains = []
    for curve, n in product(CURVES[:3] + CURVES[5:6], (1, 5)):
        function = partial(curve_profits, curve=curve, N=300, n=n, single=True)
        profits = run(partial(function, pretrained=pretrained), seeds_of(options), options.jobs)
        pairs = [ratio_of_few(profits[:, k], profits[:, 4]) for k in (1, 2, 3)]
        gains.append([100 * (p - 1) for p, _ in pairs])
        row = "".join(f"{100 * (p - 1):12.2f} +- {100 * w:4.2f}" for p, w in pairs)
        print(f"{f'{curve}, n={n}':44}{row}", flush=True)
        lines += [
            dict(part="single", cell=f"{curve}, n={n}", method=m, lost=-100 * (p - 1), half_width=w)
            for m, (p, w) in zip(METHODS, pairs, strict=True)
        ]
    gain = np.mean(gains, axis=0)
    verdict(f"network better than the old prices on average: {gain[0]:+.2f} %", gain[0] > 0)


def stock_profits(seed, curve, N, n, share, pretrained):
    """True mean profit with full information, and of readings of capped sales, by the methods."""
    rng = np.random.default_rng([seed, N, n])
    rows = curve.draw_rows(rng, N)
    usual = rows["usual"][:, None]
    prices = usual * np.exp(rng.uniform(-0.3, 0.3, (N, n)))
    demand = curve.sales(rng, rows, prices)
    shelf = curve.demand(rows, usual) * np.exp(0.3 * rng.normal(size=(N, 1)))
    stock = shelf * np.quantile(demand / shelf, 1 - share) * np.ones(n)
    stock = np.maximum(np.rint(stock), 1.0) if curve.counts else stock
    sales = np.minimum(demand, stock)
    capped = sales >= stock
    cost, low, high = 0.5 * rows["usual"], 0.6 * rows["usual"], 1.7 * rows["usual"]
    grid = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, 400)
    best = ((grid - cost[:, None]) * curve.demand(rows, grid)).max(axis=1)
    profits = [best.mean()]
    told = list(range(2 * n + 3, 3 * n + 3))
    for values, cells, roles in (
        (demand, stock, {}),
        (sales, stock, {"stock": told}),
        (sales, capped, {"sold_out": told}),
        (sales, stock, {}),
        (np.where(capped, np.nan, sales), stock, {}),
    ):
        X, columns = table_of(prices, values, cost, low, high, cells)
        bounds = Column(2 * n + 1), Column(2 * n + 2)
        problem = Pricing(**columns, unit_cost=Column(2 * n), bounds=bounds, **roles)
        for each in (clone(pretrained).set_params(problem=problem), PooledDemandCurve(problem)):
            chosen = each.fit(X).decide(X)
            profits.append(((chosen - cost) * curve.demand(rows, chosen)).mean())
    return profits


def stock(options, pretrained, lines):
    """Demand that stock capped, mostly that at low prices."""
    print("\nstock: lost profit, %; the network's, then the pooled curve's")
    print(f"{'':32}" + "".join(f"{name:>20}" for name in READINGS))
    for curve, share in product((CURVES[2], CURVES[1], CURVES[5]), (0.3, 0.6)):
        function = partial(stock_profits, curve=curve, N=200, n=6, share=share)
        profits = run(partial(function, pretrained=pretrained), seeds_of(options), options.jobs)
        values, widths = (each.reshape(-1, 2) for each in lost(profits))
        cell = f"{curve}, {100 * share:.0f} % capped"
        row = "".join(f"{a:13.1f} {b:6.1f}" for a, b in values)
        print(f"{cell:32}{row}", flush=True)
        lines += [
            dict(part="stock", cell=cell, method=f"{method}, {name}", lost=v, half_width=w)
            for name, pair, half in zip(READINGS, values, widths, strict=True)
            for method, v, w in zip(METHODS[:2], pair, half, strict=True)
        ]


# ------------------------------------------------------------------ real prices


def read_weeks(path):
    """Prices and units of every store and brand, a column a week, NaN where missing."""
    import pandas as pd

    frame = pd.read_csv(path)
    wide = frame.pivot_table(index=["store", "brand"], columns="week", values=["price", "units"])
    prices, units = wide["price"].to_numpy(), wide["units"].to_numpy()
    return prices, units


def real_draw(weeks, N, n, seed):
    """X with n random earlier weeks, the last weeks' prices, and their demand."""
    prices, units = weeks
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(prices))[:N]
    seen = ~np.isnan(prices[rows, :-LAST_WEEKS])
    order = np.where(seen, rng.random(seen.shape), np.inf).argsort(axis=1)[:, :n]
    past = np.take_along_axis(prices[rows], order, axis=1)
    demand = np.take_along_axis(units[rows], order, axis=1)
    return past, demand, prices[rows, -LAST_WEEKS:], units[rows, -LAST_WEEKS:]


def pinball(estimator, X, prices, units):
    """Mean pinball loss over levels and later weeks, of rows that have one; (n,)."""
    total, count = np.zeros(len(X)), np.zeros(len(X))
    for price, sold in zip(prices.T, units.T, strict=True):
        has = ~np.isnan(price)
        law = estimator.predict_distribution(X, price=np.where(has, price, 1.0))
        short = sold[:, None] - law.quantile(LEVELS[None, :])
        loss = (short * (LEVELS - (short < 0))).mean(axis=1)
        total += np.where(has, loss, 0.0)
        count += has
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def real_losses(seed, weeks, N, n, pretrained):
    past, demand, prices, units = real_draw(weeks, N, n, seed)
    X, columns = table_of(past, demand)
    return [
        np.nanmean(pinball(each, X, prices, units))
        for each in fitted(Pricing(**columns), X, pretrained)
    ]


def real(options, pretrained, lines):
    """Demand at the prices that were set, in later weeks."""
    weeks = read_weeks(options.table)
    print("\nreal: pinball loss of later weeks' demand, network's over the baselines'")
    ratios = []
    for N, n in product((100, 500), (5, 10, 20)):
        losses = run(
            partial(real_losses, weeks=weeks, N=N, n=n, pretrained=pretrained),
            seeds_of(options),
            options.jobs,
        )
        pairs = [ratio_of_few(losses[:, 0], losses[:, k]) for k in (1, 2)]
        ratios.append([p for p, _ in pairs])
        print(f"N={N:<4} n={n:<3}" + "".join(f"{p:12.4f} +- {w:.4f}" for p, w in pairs), flush=True)
        lines += [
            dict(part="real", cell=f"N={N}, n={n}", method=f"over {m}", lost=p, half_width=w)
            for m, (p, w) in zip(METHODS[1:], pairs, strict=True)
        ]
    mean = np.mean(ratios, axis=0)
    text = (
        f"on average {mean[0]:.4f} of the pooled curve's and {mean[1]:.4f} of the per-row curve's"
    )
    verdict(f"{text}, below 1 asked", (mean < 1).all())


def finetuned_losses(seed, weeks, n, pretrained):
    past, demand, prices, units = real_draw(weeks, 800, n, seed)
    X, columns = table_of(past, demand)
    tuned = clone(pretrained).set_params(
        problem=Pricing(**columns), finetune="auto", random_state=seed
    )
    frozen = clone(tuned).set_params(finetune=None)
    return [np.nanmean(pinball(each.fit(X), X, prices, units)) for each in (tuned, frozen)]


def finetune(options, pretrained, lines):
    """Finetuned against frozen on real rows."""
    weeks = read_weeks(options.table)
    print("\nfinetune, N=800: pinball loss of finetuned over zero-shot, %")
    values = []
    for n in (5, 10, 20):
        losses = run(
            partial(finetuned_losses, weeks=weeks, n=n, pretrained=pretrained),
            seeds_of(options)[:5],
            options.jobs,
        )
        value, half = ratio_of_few(losses[:, 0], losses[:, 1])
        values.append(100 * (value - 1))
        print(f"n={n:<3} {values[-1]:+.2f} +- {100 * half:.2f}", flush=True)
        lines.append(
            dict(part="finetune", cell=f"n={n}", method="auto", lost=values[-1], half_width=half)
        )
    verdict(f"largest {max(values):+.2f} %, at most 0.3 asked", max(values) <= 0.3)
    verdict(f"mean {np.mean(values):+.2f} %, below 0 asked", np.mean(values) < 0)


def speed(options, pretrained, lines):
    """Seconds of fit and decide."""
    print("\nspeed, n=10, one process")
    for N in (1000, 10_000):
        portfolio = LINEAR["unlike"][0].sample(N, 10, random_state=0)
        X, columns = table_of(portfolio.prices, np.rint(portfolio.observations))
        for kind, Y in (("continuous", X + 1e-3), ("whole numbers", X)):
            problem = Pricing(**columns, unit_cost=UNIT_COST, bounds=(3.0, 7.9))
            estimator = clone(pretrained).set_params(problem=problem)
            began = time.perf_counter()
            estimator.fit(Y)
            middle = time.perf_counter()
            estimator.decide(Y)
            end = time.perf_counter()
            print(f"N={N:<6} {kind:14} fit {middle - began:6.2f} s, decide {end - middle:6.2f} s")


def seeds_of(options):
    return range(options.first_seed, options.first_seed + options.draws)


def main():
    parts = {part.__name__: part for part in (linear, curves, single, stock, real, finetune, speed)}
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    parser.set_defaults(checkpoint="price")
    parser.add_argument("--part", nargs="+", choices=parts, help="default: those without a table")
    parser.add_argument("--draws", type=int, default=10, help="portfolios of a cell")
    parser.add_argument(
        "--table", type=Path, help="weekly sales with store, brand, week, units, price"
    )
    options = parser.parse_args()
    chosen = options.part or ["linear", "curves", "single", "stock", "speed"]
    if {"real", "finetune"} & set(chosen) and options.table is None:
        parser.error("parts real and finetune need --table")
    lines = []
    for part in chosen:
        parts[part](options, network(options.checkpoint), lines)
    if options.csv and lines:
        write_csv(options.csv, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
