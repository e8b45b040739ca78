"""Stockouts: cost above exact Bayes where stock capped the sales.

::

    python benchmarks/stockouts.py                      # capped rows of known laws
    python benchmarks/stockouts.py --quick              # the same, a few cells and seeds
    python benchmarks/stockouts.py --part uncapped      # stock given that was always enough
    python benchmarks/stockouts.py --part bias TABLE    # expected demand on real tables

Stock is ordered up to a level of each row, the same in all its periods: its mean demand times a
factor, lognormal over the rows, times the number that caps the given share of a law's cells. All
methods decide the same draws (paired), costs under the true law are exact, and the excess is the
ratio of summed costs to exact Bayes', minus one. A row is identified at a ratio if the true
quantile there is at most its stock. ``+-`` is the standard error over draws.
"""

import sys
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product

import numpy as np
import torch
from common import TAUS, make_parser, run_all, write_csv
from scipy import optimize, special

from sklearn_pttf import Checkpoint
from sklearn_pttf._laws.capped_levels import GammaLevels, NormalLevels
from sklearn_pttf._network.reading import encode_context, predict_law
from sklearn_pttf.baselines import KaplanMeierNewsvendor
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

LAWS = [
    GammaPoisson(2.0, 0.2),
    LognormalNormal(4.0, 0.5, 0.4),
    GammaPoisson(5.0, 0.05),
    LognormalNormal(3.0, 0.3, 0.7),
]
CAPPED, SIZES, WIDTHS = (0.1, 0.3, 0.6), (50, 500), (5, 10, 20)
FACTOR_SPREAD = 0.4  # standard deviation of the log of stock over mean demand
INSTANCES = 5_000  # a cell, over all its draws
DESIGN_SEED = 10_000  # draws that methods may be designed on begin here
GROUPS = ("identified", "not identified", "all")
POLICIES = ("following", "unrelated")
LARGE_SAMPLE = 20_000  # rows by which the multiple of stock is found
BAYES = "Bayes"


@dataclass
class StockedLaw:
    """Rows of a law whose sales are capped by order-up-to stock.

    Attributes
    ----------
    law : GammaPoisson or LognormalNormal

    capped : float
        Share of all cells that stock caps.

    policy : {"following", "unrelated"}
        Whether stock goes by the mean demand of its row, or of all rows.
    """

    law: object
    capped: float
    policy: str = "following"

    def sample(self, n_instances, n_observations, seed):
        """A portfolio of sales with the stock of every cell."""
        rng = np.random.RandomState(seed)
        portfolio = self.law.sample(n_instances, n_observations, rng)
        stock = self._stock(self.law.truth(portfolio).mean(), self.multiple, rng)
        stock = np.repeat(stock[:, None], n_observations, axis=1)
        return replace(
            portfolio, observations=np.minimum(portfolio.observations, stock), stock=stock
        )

    def _stock(self, mean, multiple, rng):
        """Order-up-to level of every row."""
        if self.policy == "unrelated":
            mean = np.full_like(mean, self.typical)
        stock = multiple * mean * np.exp(FACTOR_SPREAD * rng.normal(size=len(mean)))
        return np.maximum(np.rint(stock), 1.0) if self.counts else stock

    @property
    def counts(self):
        return isinstance(self.law, GammaPoisson)

    @cached_property
    def typical(self):
        """Mean demand of all rows."""
        return self._many[0].mean()

    @cached_property
    def _many(self):
        """Mean demand of many rows, and their laws."""
        truth = self.law.truth(self.law.sample(LARGE_SAMPLE, 1, random_state=0))
        return truth.mean(), truth

    @cached_property
    def multiple(self):
        """Stock over mean demand that caps the share, in the middle."""
        mean, truth = self._many

        def too_many(log_multiple):
            stock = self._stock(mean, np.exp(log_multiple), np.random.RandomState(1))
            return (1 - truth.cdf(stock - self.counts)).mean() - self.capped

        return np.exp(optimize.brentq(too_many, -4.0, 4.0, xtol=1e-4))

    def predictive(self, portfolio):
        """Exact Bayes, which knows hyperparameters and how stock is ordered."""
        if self.policy == "unrelated":
            return self.law.predictive(portfolio)
        if self.counts:
            levels, over = GammaLevels(self.law.shape, self.law.rate), 0.0
        else:
            levels, over = NormalLevels(self.law.mean, self.law.spread), self.law.noise**2 / 2
        stock = portfolio.stock[:, 0]
        levels = LevelsGivenStock(levels, stock, np.log(self.multiple) + over, self.counts)
        return self.law._capped_predictive(portfolio, levels)


class LevelsGivenStock:
    """Levels of rows, of which stock is ordered up to a known multiple, but for its factor."""

    def __init__(self, levels, stock, offset, counts):
        self.levels, self.middle = levels, levels.middle
        self.offset, self.counts = offset, counts
        self.stock = stock

    def log_density(self, logs):
        centre, spread = logs + self.offset, FACTOR_SPREAD
        stock = self.stock[:, None]
        if not self.counts:
            told = -(((np.log(stock) - centre) / spread) ** 2) / 2
            return self.levels.log_density(logs) + told
        above = (np.log(stock + 0.5) - centre) / spread
        with np.errstate(divide="ignore"):
            below = np.where(
                stock > 1, (np.log(np.maximum(stock - 0.5, 0.5)) - centre) / spread, -np.inf
            )
        # between both in the tail where they are further from 1
        flip = below > 0
        high, low = np.where(flip, -below, above), np.where(flip, -above, below)
        told = special.log_ndtr(high) + np.log1p(
            -np.exp(np.minimum(special.log_ndtr(low) - special.log_ndtr(high), -1e-15))
        )
        return self.levels.log_density(logs) + told

    def slopes(self, logs):
        """Of counts as if stock was not rounded: nodes need not be right in the middle."""
        slope, curvature = self.levels.slopes(logs)
        away = (np.log(self.stock) - logs - self.offset) / FACTOR_SPREAD
        return slope + away / FACTOR_SPREAD, curvature - 1 / FACTOR_SPREAD**2


# ------------------------------------------------------------------ methods


class ByNetwork:
    """A network's laws, zero-shot."""

    def __init__(self, checkpoint):
        self.network = checkpoint.build_network(dtype=torch.float64)

    def __call__(self, portfolio):
        return predict_law(self.network, encode_context(self.network, portfolio), portfolio)


def as_sold(portfolio):
    """Sales taken for demand."""
    return replace(portfolio, stock=None)


def left_out(portfolio):
    """Without the capped sales."""
    return replace(
        portfolio,
        observations=np.where(portfolio.capped, np.nan, portfolio.observations),
        stock=None,
    )


def kaplan_meier(portfolio):
    return KaplanMeierNewsvendor()._fit_portfolio(portfolio)._predict_law(portfolio)


def all_methods(options):
    """Callables from a portfolio with stock to laws, by name."""
    network = ByNetwork(Checkpoint.load(options.checkpoint).with_capped())
    told_nothing = ByNetwork(Checkpoint.load("demand"))
    methods = {
        "network": network,
        "as sold": lambda portfolio: told_nothing(as_sold(portfolio)),
        "leave out": lambda portfolio: told_nothing(left_out(portfolio)),
        "Kaplan-Meier": kaplan_meier,
    }
    return {name: methods[name] for name in options.methods or methods}


# ------------------------------------------------------------------ capped rows


def costs_of_a_draw(seed, law, n_instances, n_observations, methods):
    """Summed true costs and numbers of rows; ``(n_taus, n_groups, n_methods + 3)``.

    The last three are Bayes with and without knowing how stock is ordered, and the number.
    """
    portfolio = law.sample(n_instances, n_observations, seed)
    truth = law.law.truth(portfolio)
    laws = [method(portfolio) for method in methods.values()]
    laws += [law.law.predictive(portfolio), law.predictive(portfolio)]
    mean, reach = truth.mean(), portfolio.stock.max(axis=1)
    out = np.zeros((len(TAUS), len(GROUPS), len(laws) + 1))
    for t, tau in enumerate(TAUS):
        problem = Newsvendor.from_service_level(tau)
        priced = problem.read(portfolio.observations)
        identified = truth.quantile(tau) <= reach
        groups = (identified, ~identified, np.ones_like(identified))
        for g, rows in enumerate(groups):
            out[t, g, -1] = rows.sum()
            for m, each in enumerate(laws):
                order = problem.solve(each, priced)
                costs = (1 - tau) * (order - mean) + truth.excess(order)
                out[t, g, m] = costs[rows].sum()
    return out


def main_part(options):
    laws = LAWS[:2] if options.quick else LAWS
    sizes, widths = (SIZES, (5, 20)) if options.quick else (SIZES, WIDTHS)
    methods = all_methods(options)
    names = [*methods, "Bayes, no policy", BAYES]
    lines, costs = [], []
    for n_instances, law, capped, n_observations in product(sizes, laws, CAPPED, widths):
        function = partial(
            costs_of_a_draw,
            law=StockedLaw(law, capped, options.policy),
            n_instances=n_instances,
            n_observations=n_observations,
            methods=methods,
        )
        n_draws = max(4, (options.instances or INSTANCES) // n_instances)
        first = options.first_seed + DESIGN_SEED * options.design
        found = run_all(function, range(first, first + n_draws), options.jobs)
        cell = {"law": repr(law), "N": n_instances, "capped": capped, "n": n_observations}
        print_cell(cell, names, found)
        costs.append(found)
        lines += cell_lines(cell, names, found)
    print_summary(lines, names)
    return lines


def excess(costs, reference):
    """Ratio of mean costs minus one, in percent, with its standard error (delta method)."""
    if reference.sum() == 0:
        return np.nan, np.nan
    ratio = costs.mean() / reference.mean()
    error = (costs - ratio * reference).std(ddof=1) / np.sqrt(len(costs)) / reference.mean()
    return 100 * (ratio - 1), 100 * error


def cell_lines(cell, names, found):
    """A dict for every ratio, group and method."""
    out = []
    for (t, tau), (g, group), (m, name) in product(
        enumerate(TAUS), enumerate(GROUPS), enumerate(names)
    ):
        above, error = excess(found[:, t, g, m], found[:, t, g, len(names) - 1])
        share = found[:, t, g, -1].sum() / found[:, t, -1, -1].sum()
        out.append(
            {**cell, "tau": tau, "group": group, "share": share, "method": name}
            | {"above_percent": above, "standard_error": error}
        )
    return out


def print_cell(cell, names, found):
    print("\n" + ", ".join(f"{name}={value}" for name, value in cell.items()), flush=True)
    print(f"{'':22}{'rows':>6}" + "".join(f"{name:>17}" for name in names[:-1]))
    lines = cell_lines(cell, names, found)
    for tau, group in product(TAUS, GROUPS):
        own = [x for x in lines if x["tau"] == tau and x["group"] == group]
        if own[0]["share"] == 0:
            continue
        values = "".join(
            f"{x['above_percent']:10.1f} +- {x['standard_error']:3.1f}" for x in own[:-1]
        )
        print(f"  {tau:4g} {group:15}{100 * own[0]['share']:5.0f}%{values}")


def print_summary(lines, names):
    """Means over laws, widths and ratios, by number of rows, share capped and group."""
    print("\nmeans over laws, n and ratios: cost above Bayes, % (worst cell)")
    print(f"{'':30}" + "".join(f"{name:>18}" for name in names[:-1]))
    sizes = sorted({x["N"] for x in lines})
    for n_instances, group, capped in product(sizes, GROUPS, CAPPED):
        own = [
            x
            for x in lines
            if (x["N"], x["group"], x["capped"]) == (n_instances, group, capped) and x["share"] > 0
        ]
        row = ""
        for name in names[:-1]:
            values = [x["above_percent"] for x in own if x["method"] == name]
            row += f"{np.mean(values):9.1f} ({np.max(values):6.1f})" if values else f"{'':18}"
        print(f"  N={n_instances:<4} {group:15} {capped:4.0%}  {row}")


def main():
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    parser.add_argument("--quick", action="store_true", help="a few cells and draws")
    parser.add_argument("--design", action="store_true", help="draws to design methods on")
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0], help="of stock")
    parser.add_argument("--instances", type=int, help=f"a cell; {INSTANCES} if not given")
    parser.add_argument("--methods", nargs="+", help="names of those that decide; all if not given")
    options = parser.parse_args()
    if options.quick and options.instances is None:
        options.instances = 1000
    lines = main_part(options)
    if options.csv:
        write_csv(options.csv, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
