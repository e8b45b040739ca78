"""Stockouts: cost above exact Bayes where stock capped the sales.

::

    python benchmarks/stockouts.py                      # capped rows of known laws
    python benchmarks/stockouts.py --quick              # the same, a few cells and seeds
    python benchmarks/stockouts.py --policy unrelated   # stock that says nothing of its row
    python benchmarks/stockouts.py --part uncapped      # stock given that was always enough
    python benchmarks/stockouts.py --part bias TABLE    # expected demand on real tables
    python benchmarks/stockouts.py --part series        # rows in the order of time

Stock is ordered up to a level of each row, the same in all its periods: its mean demand times a
factor, lognormal over the rows, times the number that caps the given share of a law's cells;
``--policy unrelated`` puts the mean of all rows in place of the row's, ``varying`` also draws the
factor anew in each period. All methods decide the same draws (paired), costs under the true law are
exact, and the excess is the ratio of summed costs to exact Bayes', minus one. That knows
hyperparameters, caps and how stock is ordered; "Bayes, caps only" takes stock as given. A row is
identified at a ratio if the true quantile there is at most its stock: rows are parted by what is
true, so within a part, unlike in all, a method may be below Bayes. ``+-`` is the standard error
over draws.

``bias`` takes random rows and periods of a real table and caps them by such stock; it prints the
sum of expected demand over that of the same method on what was not capped.

``series`` draws rows whose levels walk, with and without a season, and caps them by stock that is
the same in all periods of a row ("constant") or goes along with what is expected of each
("following"). Cost of the next period is that on 200 draws, given all that moved levels before; it
is told above what the same method pays that knows all demand. ``--checkpoint`` is then that of
tables in time, if not the shipped one.
"""

import sys
import warnings
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import product
from pathlib import Path

import numpy as np
from common import (
    TAUS,
    add_table_options,
    draw_rows,
    make_parser,
    percent_above,
    read_table,
    run_all,
    verdict,
    write_csv,
)
from scipy import optimize, special
from walks import POLICIES as POLICIES_IN_TIME
from walks import Walks, stock_of

from sklearn_pttf import Portfolio, PretrainedDecisionTransformer
from sklearn_pttf._laws.capped_levels import GammaLevels, NormalLevels
from sklearn_pttf.baselines import (
    CensoredEmpiricalBayes,
    ExponentialSmoothing,
    KaplanMeierNewsvendor,
)
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
INSTANCES, QUICK_INSTANCES = 5_000, 1_000  # a cell, over all its draws
MOST_INSTANCES, BIAS_WIDTHS = 500, (5, 10)  # of a draw of a real table
DESIGN_SEED = 10_000  # draws that methods may be designed on begin here
GROUPS = ("identified", "not identified", "all")
POLICIES = ("following", "unrelated", "varying")
LARGE_SAMPLE = 20_000  # rows by which the multiple of stock is found
NETWORK, CAPS_ONLY, BAYES = "network", "Bayes, caps only", "Bayes"
PARTS = ("main", "uncapped", "bias", "series")
WALKS = [Walks(counts, season) for counts in (True, False) for season in (False, True)]
N_PERIODS = 26  # of them
SERIES_INSTANCES, QUICK_SERIES = 2_000, 200  # a cell, over all its draws; at least two
QUICK_WALKS, QUICK_CAPPED = [WALKS[0], WALKS[3]], (0.3, 0.6)
STOCK_GIVEN, AS_SOLD, LEAVE_OUT = "stock given", "as sold", "leave out"
SMOOTHING = "smoothing"
IN_TIME = (STOCK_GIVEN, AS_SOLD, LEAVE_OUT, f"{SMOOTHING}, {LEAVE_OUT}")
MOST_ABOVE = {500: 3.0, 50: 6.0}  # percent above Bayes of identified rows
MOST_ABOVE_BEST = 2.0  # percent above the best classical method, of the others
MOST_FOR_NOTHING, MOST_BIAS = 0.3, 2.0  # percent


@dataclass
class StockedLaw:
    """Rows of a law whose sales are capped by order-up-to stock.

    Attributes
    ----------
    law : GammaPoisson or LognormalNormal

    capped : float
        Share of all cells that stock caps.

    policy : {"following", "unrelated", "varying"}
        Whether stock goes by the mean demand of its row, or of all rows; "varying": of all rows,
        with a factor of its own in each period.
    """

    law: object
    capped: float
    policy: str = "following"

    def sample(self, n_instances, n_observations, seed):
        """A portfolio of sales with the stock of every cell."""
        rng = np.random.RandomState(seed)
        portfolio = self.law.sample(n_instances, n_observations, rng)
        n_levels = n_observations if self.policy == "varying" else 1
        mean = np.repeat(self.law.truth(portfolio).mean()[:, None], n_levels, axis=1)
        stock = self._stock(mean, self.multiple, rng)
        stock = np.broadcast_to(stock, portfolio.observations.shape).copy()
        return replace(
            portfolio, observations=np.minimum(portfolio.observations, stock), stock=stock
        )

    def _stock(self, mean, multiple, rng):
        """Order-up-to levels around mean demand."""
        if self.policy != "following":
            mean = np.full_like(mean, self.typical)
        stock = multiple * mean * np.exp(FACTOR_SPREAD * rng.normal(size=mean.shape))
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
        if self.policy != "following":
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
    """Laws of the estimator, zero-shot."""

    def __init__(self, checkpoint):
        self.checkpoint = checkpoint

    def __call__(self, portfolio):
        X, n = portfolio.observations, portfolio.observations.shape[1]
        problem = Newsvendor(observations=list(range(n)))
        if portfolio.stock is not None:
            X = np.hstack([X, portfolio.stock])
            problem.set_params(stock=list(range(n, 2 * n)))
        pdt = PretrainedDecisionTransformer(problem, checkpoint=self.checkpoint, finetune=None)
        return pdt.fit(X).predict_distribution(X)


class ByBaseline:
    """A classical method's laws."""

    def __init__(self, baseline):
        self.baseline = baseline

    def __call__(self, portfolio):
        return self.baseline._fit_portfolio(portfolio)._predict_law(portfolio)


def as_sold(portfolio):
    """Sales taken for demand."""
    return replace(portfolio, stock=None)


def left_out(portfolio):
    """Without the capped sales."""
    observations = np.where(portfolio.capped, np.nan, portfolio.observations)
    return replace(portfolio, observations=observations, stock=None)


def all_methods(options):
    """Callables from a portfolio with stock to laws, by name."""
    told_nothing = ByNetwork("demand")
    methods = {
        NETWORK: ByNetwork(options.checkpoint),
        "as sold": lambda portfolio: told_nothing(as_sold(portfolio)),
        "leave out": lambda portfolio: told_nothing(left_out(portfolio)),
        "Kaplan-Meier": ByBaseline(KaplanMeierNewsvendor()),
        "censored EB": ByBaseline(CensoredEmpiricalBayes()),
    }
    return {name: methods[name] for name in methods if name in (options.methods or methods)}


# ------------------------------------------------------------------ capped rows


def costs_of_a_draw(seed, law, n_instances, n_observations, methods):
    """Summed true costs of a draw's rows by ratio and group; ``(n_taus, n_groups, k)``.

    The ``k`` columns are the methods, Bayes with caps only and with all, the number of rows, and
    that of those whose part the first method tells: by whether its own quantile is at most what
    there was of stock.
    """
    portfolio = law.sample(n_instances, n_observations, seed)
    truth, reach = law.law.truth(portfolio), portfolio.stock.max(axis=1)
    laws = [method(portfolio) for method in methods.values()]
    laws += [law.law.predictive(portfolio), law.predictive(portfolio)]
    out = np.zeros((len(TAUS), len(GROUPS), len(laws) + 2))
    for t, tau in enumerate(TAUS):
        identified = truth.quantile(tau) <= reach
        told = (laws[0].quantile(tau) <= reach) == identified
        table = np.stack([*(true_costs(each, truth, tau) for each in laws), reach > 0, told], 1)
        for g, rows in enumerate((identified, ~identified, np.ones_like(identified))):
            out[t, g] = table[rows].sum(axis=0)
    return out


def true_costs(law, truth, tau):
    """Expected cost of every row's best order under a law, with shares of ``tau`` short."""
    problem, sales = Newsvendor.from_service_level(tau), np.zeros((len(law), 1))
    order = problem.solve(law, problem.read(sales))
    return (1 - tau) * (order - truth.mean()) + truth.excess(order)


def seeds_of_a_cell(n_instances, options):
    """One seed a draw."""
    n_draws = max(4, (options.instances or INSTANCES) // n_instances)
    first = options.first_seed + DESIGN_SEED * options.design
    return range(first, first + n_draws)


def main_part(options):
    """Costs of all methods where stock capped sales; lines of the CSV file."""
    laws, widths = (LAWS[:2], (5, 20)) if options.quick else (LAWS, WIDTHS)
    methods = all_methods(options)
    names, lines = [*methods, CAPS_ONLY, BAYES], []
    for n_instances, law, capped, n_observations in product(SIZES, laws, CAPPED, widths):
        function = partial(
            costs_of_a_draw,
            law=StockedLaw(law, capped, options.policy),
            n_instances=n_instances,
            n_observations=n_observations,
            methods=methods,
        )
        found = run_all(function, seeds_of_a_cell(n_instances, options), options.jobs)
        cell = {"law": repr(law), "N": n_instances, "capped": capped, "n": n_observations}
        lines += cell_lines(cell, names, found)
        print_cell(cell, names, lines)
    print_summary(lines, names)
    return lines


def excess(costs, reference):
    """Ratio of mean costs minus one, in percent, with its standard error (delta method)."""
    if reference.sum() == 0:
        return np.nan, np.nan
    ratio = costs.mean() / reference.mean()
    error = (costs - ratio * reference).std(ddof=1) / np.sqrt(len(costs))
    return percent_above(ratio, 1), 100 * error / reference.mean()


def cell_lines(cell, names, found):
    """A dict for every ratio, group and method."""
    out = []
    for (t, tau), (g, group), (m, name) in product(
        enumerate(TAUS), enumerate(GROUPS), enumerate(names)
    ):
        costs = found[:, t, g]
        above, error = excess(costs[:, m], costs[:, len(names) - 1])
        out.append(
            {**cell, "tau": tau, "group": group, "method": name}
            | {"share_of_rows": costs[:, -2].sum() / found[:, t, -1, -2].sum()}
            | {"told_right": costs[:, -1].sum() / max(costs[:, -2].sum(), 1)}
            | {"above_Bayes_percent": above, "standard_error": error}
        )
    return out


def print_cell(cell, names, lines):
    """Excess of every method, a line a ratio and group; of the lines, the last cell's."""
    print("\n" + ", ".join(f"{name}={value}" for name, value in cell.items()), flush=True)
    print(f"{'':20}{'rows':>6}" + "".join(f"{name:>17}" for name in names[:-1]))
    own = lines[-len(TAUS) * len(GROUPS) * len(names) :]
    for tau, group in product(TAUS, GROUPS):
        row = [x for x in own if (x["tau"], x["group"]) == (tau, group)]
        if row[0]["share_of_rows"] > 0:
            values = (
                f"{x['above_Bayes_percent']:10.1f} +- {x['standard_error']:3.1f}" for x in row[:-1]
            )
            share = f"{100 * row[0]['share_of_rows']:5.0f}%"
            print(f"{tau:5g} {group:14}{share}{''.join(values)}")


def print_summary(lines, names):
    """Means over laws, n and ratios, by number of rows, group and share capped; and verdicts."""
    print("\nmeans over laws, n and ratios: cost above Bayes, % (worst cell)")
    print(f"{'':31}" + "".join(f"{name:>18}" for name in names[:-1]))
    means = {}
    for n_instances, group, capped in product(SIZES, GROUPS, CAPPED):
        key = (n_instances, group, capped)
        own = [x for x in lines if (x["N"], x["group"], x["capped"]) == key]
        own, row = [x for x in own if x["share_of_rows"] > 0], ""
        for name in names[:-1]:
            values = [x["above_Bayes_percent"] for x in own if x["method"] == name]
            means[(*key, name)] = np.mean(values)
            row += f"{np.mean(values):9.1f} ({np.max(values):6.1f})"
        print(f"  N={n_instances:<4} {group:14} {capped:4.0%}    {row}")
    if NETWORK in names:
        print()
        verdicts(lines, names, means)


def verdicts(lines, names, means):
    """What was asked for, of the means."""
    classical = [name for name in names[:-2] if name != NETWORK]

    def worst(n_instances, group, of_row):
        return max(of_row(n_instances, group, capped) for capped in CAPPED)

    def own(*key):
        return means[(*key, NETWORK)]

    def over_best(*key):
        best = min(means[(*key, name)] for name in classical)
        return percent_above(100 + own(*key), 100 + best)

    for n_instances, most in MOST_ABOVE.items():
        value = worst(n_instances, GROUPS[0], own)
        text = f"N={n_instances}, identified: at most {most:g} % above Bayes, {value:.1f}"
        verdict(text, value <= most)
    if not classical:
        return
    for n_instances, group in product(SIZES, (GROUPS[0], GROUPS[2])):
        value = worst(n_instances, group, over_best)
        text = f"N={n_instances}, {group}: below all classical methods, {value:+.1f} % to the best"
        verdict(text, value < 0)
    for n_instances in SIZES:
        value = worst(n_instances, GROUPS[1], over_best)
        text = f"N={n_instances}, not identified: at most {MOST_ABOVE_BEST:g} % above the best"
        verdict(f"{text}, {value:+.1f}", value <= MOST_ABOVE_BEST)
    if names[0] == NETWORK:
        told = [x["told_right"] for x in lines if (x["group"], x["method"]) == ("all", NETWORK)]
        text = f"told whether a row is identified: in 95 % of rows, {100 * np.mean(told):.1f}"
        verdict(text, np.mean(told) >= 0.95)


# ------------------------------------------------------------------ stock that was always enough


def costs_of_enough(seed, law, n_instances, n_observations, network):
    """Summed true costs with stock given and not, of stock that capped nothing; (n_taus, 2)."""
    portfolio = law.sample(n_instances, n_observations, seed)
    sales, rng = portfolio.observations, np.random.RandomState(seed)
    more = np.exp(FACTOR_SPREAD * np.abs(rng.normal(size=(n_instances, 1))))
    stock = np.ceil(sales.max(axis=1, keepdims=True) * more) + 1
    stocked = replace(portfolio, stock=np.broadcast_to(stock, sales.shape).copy())
    truth, laws = law.truth(portfolio), [network(stocked), network(portfolio)]
    return np.array([[true_costs(each, truth, tau).sum() for each in laws] for tau in TAUS])


def uncapped_part(options):
    """What it costs to give stock for nothing; lines of the CSV file."""
    laws, widths = (LAWS[:2], (5, 20)) if options.quick else (LAWS, WIDTHS)
    network = ByNetwork(options.checkpoint)
    lines = []
    for n_instances, law, n_observations in product(SIZES, laws, widths):
        function = partial(
            costs_of_enough,
            law=law,
            n_instances=n_instances,
            n_observations=n_observations,
            network=network,
        )
        found = run_all(function, seeds_of_a_cell(n_instances, options), options.jobs)
        for t, tau in enumerate(TAUS):
            value, error = excess(found[:, t, 0], found[:, t, 1])
            cell = {"law": repr(law), "N": n_instances, "n": n_observations, "tau": tau}
            lines.append(cell | {"above_percent": value, "standard_error": error})
    values = [line["above_percent"] for line in lines]
    print("\nnothing capped: cost with stock given above that without, %")
    print(f"  mean {np.mean(values):.2f}, worst cell {np.max(values):.2f}")
    text = f"nothing capped: at most {MOST_FOR_NOTHING:g} % above, {np.max(values):.2f}"
    verdict(text, np.max(values) <= MOST_FOR_NOTHING)
    return lines


# ------------------------------------------------------------------ real tables


def capped_table(table, capped, policy, n_instances, n_observations, seed):
    """Random rows and outcomes of a table, and the same with stock that caps a share of them."""
    outcomes = draw_rows(table, n_instances, seed)
    rng, demand = np.random.RandomState(seed), outcomes[:, :n_observations]
    level = np.nanmean(outcomes, axis=1, keepdims=True)
    level = level if policy == "following" else np.full_like(level, level.mean())
    shape = demand.shape if policy == "varying" else level.shape
    level = np.maximum(level, 1e-9) * np.exp(FACTOR_SPREAD * rng.normal(size=shape))
    # the multiple that caps the share
    stock = np.nanquantile(demand / level, 1 - capped) * level
    free = Portfolio(demand)
    stock = np.maximum(np.rint(stock), 1.0) if free.integer else stock
    stock = np.broadcast_to(stock, demand.shape).copy()
    return free, replace(free, observations=np.minimum(demand, stock), stock=stock)


def expected_of_a_draw(seed, methods, **shape):
    """Sums of expected demand, on what stock capped and on what it did not; (n_methods, 2)."""
    free, short = capped_table(seed=seed, **shape)
    free = replace(free, stock=np.full_like(free.observations, np.nan))
    return np.array(
        [[method(each).mean().sum() for each in (short, free)] for method in methods.values()]
    )


def bias_part(options):
    """Expected demand over that of uncapped fits, on real tables; lines of the CSV file."""
    methods, lines = all_methods(options), []
    for path in options.tables:
        table = read_table(path, options)
        n_instances = min(MOST_INSTANCES, len(table))
        print(f"\n{Path(path).name}, {n_instances} rows a draw: expected demand, % of uncapped")
        print(f"{'':22}" + "".join(f"{name:>17}" for name in methods))
        for capped, n_observations in product(CAPPED, BIAS_WIDTHS):
            function = partial(
                expected_of_a_draw,
                table=table,
                capped=capped,
                policy=options.policy,
                n_instances=n_instances,
                n_observations=n_observations,
                methods=methods,
            )
            seeds = range(options.first_seed, options.first_seed + options.draws)
            found = run_all(function, seeds, options.jobs)
            row = ""
            for m, name in enumerate(methods):
                value, error = excess(found[:, m, 0], found[:, m, 1])
                row += f"{value:+10.1f} +- {error:3.1f}"
                cell = {"table": Path(path).name, "capped": capped, "n": n_observations}
                cell |= {"method": name, "off_percent": value, "standard_error": error}
                lines.append(cell)
            print(f"  {capped:4.0%} capped, n={n_observations:<4}{row}", flush=True)
    own = [abs(line["off_percent"]) for line in lines if line["method"] == NETWORK]
    if own:
        text = f"expected demand: within {MOST_BIAS:g} % of uncapped, {max(own):.1f}"
        verdict(text, max(own) <= MOST_BIAS)
    return lines


# ------------------------------------------------------------------ the order of time


def orders_in_time(make, observations, stock, seasons):
    """Orders of the next period at every ratio; ``(n_taus, n)``."""
    n, X = observations.shape[1], observations
    roles = {"ordered": True, "observations": range(n), "seasons": seasons}
    if stock is not None:
        X, roles["stock"] = np.hstack([X, stock]), range(n, 2 * n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return make(Newsvendor(**roles)).fit(X).predict_quantiles(X, TAUS).T


def costs_on_draws(orders, later):
    """Summed costs of orders ``(n_taus, n)`` on draws of demand ``(n, k)``; ``(n_taus,)``."""
    short = later - orders[..., None]
    ratio = np.reshape(TAUS, (-1, 1, 1))
    return np.maximum(ratio * short, (ratio - 1) * short).mean(axis=2).sum(axis=1)


def costs_of_walks(seed, walks, shares, n_instances, checkpoint):
    """Summed costs of a draw's rows, by policy, share capped, ratio and method.

    ndarray of shape (n_policies, n_shares, n_taus, k): those of ``IN_TIME``, then of the network
    and of smoothing that know all demand.
    """
    demand, expected, later = walks.sample(n_instances, N_PERIODS, seed)
    network = partial(PretrainedDecisionTransformer, checkpoint=checkpoint, finetune=None)

    def costs(make, observations, stock=None):
        orders = orders_in_time(make, observations, stock, walks.seasons)
        return costs_on_draws(orders, later)

    of_all = [costs(network, demand), costs(ExponentialSmoothing, demand)]
    out = np.empty((len(POLICIES_IN_TIME), len(shares), len(TAUS), len(IN_TIME) + 2))
    for (p, policy), (c, capped) in product(enumerate(POLICIES_IN_TIME), enumerate(shares)):
        stock = stock_of(demand, expected, capped, policy, seed)
        sold = np.minimum(demand, stock)
        left = np.where(demand >= stock, np.nan, sold)
        found = [costs(network, sold, stock), costs(network, sold), costs(network, left)]
        found.append(costs(ExponentialSmoothing, left))
        out[p, c] = np.transpose(found + of_all)
    return out


def series_part(options):
    """Costs above those of the same method that knows all demand; lines of the CSV file."""
    if options.instances is None:
        options.instances = QUICK_SERIES if options.quick else SERIES_INSTANCES
    checkpoint = "auto" if options.checkpoint == "demand" else options.checkpoint
    all_walks, shares = (QUICK_WALKS, QUICK_CAPPED) if options.quick else (WALKS, CAPPED)
    lines = []
    for walks, n_instances in product(all_walks, SIZES):
        n_draws = max(2, options.instances // n_instances)
        first = options.first_seed + DESIGN_SEED * options.design
        function = partial(
            costs_of_walks,
            walks=walks,
            shares=shares,
            n_instances=n_instances,
            checkpoint=checkpoint,
        )
        found = run_all(function, range(first, first + n_draws), options.jobs)
        lines += lines_in_time({"rows": str(walks), "N": n_instances}, shares, found)
        print(f"{walks}, N={n_instances}: {n_draws} draws", flush=True)
    print_in_time(lines)
    return lines


def lines_in_time(cell, shares, found):
    """A dict for every policy, share, ratio and method."""
    out = []
    for (p, policy), (c, capped), (t, tau) in product(
        enumerate(POLICIES_IN_TIME), enumerate(shares), enumerate(TAUS)
    ):
        *costs, of_network, of_smoothing = found[:, p, c, t].T
        own = [*[of_network] * 3, of_smoothing]
        pairs = dict(zip(IN_TIME, zip(costs, own, strict=True), strict=True))
        pairs[f"{SMOOTHING}, all demand"] = of_smoothing, of_network
        for name, pair in pairs.items():
            value, error = excess(*pair)
            line = {**cell, "policy": policy, "capped": capped, "tau": tau, "method": name}
            out.append(line | {"above_percent": value, "standard_error": error})
    return out


def print_in_time(lines):
    """Means over ratios, and over counts and amounts, by season, rows, policy and share."""
    names = list(dict.fromkeys(line["method"] for line in lines))
    print("\nin time, means over ratios: cost above the same method's that knows all demand, %")
    print("(+- standard error); of smoothing with all demand: above the network's with that")
    print(f"{'':46}" + "".join(f"{name:>22}" for name in names))
    cells = ("rows", "N", "policy", "capped")
    for key in sorted({tuple(line[name] for name in cells) for line in lines}):
        own = [line for line in lines if tuple(line[name] for name in cells) == key]
        row = ""
        for name in names:
            some = [line for line in own if line["method"] == name]
            value, error = (  # of one draw's rows, at all ratios
                np.mean([line[k] for line in some]) for k in ("above_percent", "standard_error")
            )
            row += f"{value:14.1f} +- {error:4.1f}"
        print("  {:18} N={:<4} {:10} {:4.0%}   ".format(*key) + row)
    means = {
        name: np.mean([line["above_percent"] for line in lines if line["method"] == name])
        for name in IN_TIME
    }
    best = min(means[name] for name in IN_TIME[1:])
    text = f"in time: {means[STOCK_GIVEN]:.1f} % with stock given, {best:.1f} with the best habit"
    verdict(text, means[STOCK_GIVEN] < best)


def main():
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    add_table_options(parser, nargs="*")
    parser.add_argument("--part", choices=PARTS, default=PARTS[0])
    parser.add_argument("--quick", action="store_true", help="a few cells and draws")
    parser.add_argument("--design", action="store_true", help="draws to design methods on")
    parser.add_argument("--policy", choices=POLICIES, default=POLICIES[0], help="of stock")
    parser.add_argument("--instances", type=int, help=f"a cell; {INSTANCES} if not given")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="that decide; else all")
    options = parser.parse_args()
    if options.quick and options.instances is None and options.part != "series":
        options.instances = QUICK_INSTANCES
    if (options.part == "bias") != bool(options.tables):
        parser.error("--part bias takes tables, and no other part does")
    functions = main_part, uncapped_part, bias_part, series_part
    part = dict(zip(PARTS, functions, strict=True))[options.part]
    lines = part(options)
    if options.csv:
        write_csv(options.csv, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
