"""Decision quality: zero-shot cost above that of the exact Bayes decision.

::

    python benchmarks/decision_quality.py                     # seven laws
    python benchmarks/decision_quality.py --baselines         # and all classical methods
    python benchmarks/decision_quality.py --other-laws        # laws that nobody tuned on
    python benchmarks/decision_quality.py --sizes             # sizes beyond pretraining's

Every portfolio is decided by all methods (paired), costs under the true law are exact, and
the excess is the ratio of summed costs to exact Bayes, minus one. ``+-`` is the half width of
a 95 % interval, by resampling portfolios.
"""

import sys
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from common import (
    LAWS,
    OTHER_LAWS,
    TAUS,
    ZERO_INFLATED,
    above,
    all_baselines,
    cell_lines,
    costs_by_ratio,
    draw_dots,
    make_parser,
    mean_above,
    network,
    run_all,
    with_half_width,
    write_csv,
)

from sklearn_pttf import Checkpoint

EXTREME_TAUS = (0.01, 0.99)
SIZES, WIDTHS = (20, 500), (3, 10)
INSTANCES = 10_000  # a cell, over all its portfolios
MOST_PORTFOLIOS = 100  # a cell, with baselines: small portfolios are many fits
BAYES = -1  # exact Bayes is the last method


@dataclass
class Result:
    """Costs of some laws at one number of instances.

    Cells are all laws at the first number of observations, then at the next one; `costs` is
    ``(n_cells, n_portfolios, n_taus, n_methods)``. The first `n_main` ratios are the main ones.
    """

    laws: list
    n_instances: int
    widths: tuple
    taus: list
    n_main: int
    methods: list
    costs: np.ndarray

    @property
    def parts(self):
        """Main and extreme ratios, where there are any."""
        slices = (slice(self.n_main), slice(self.n_main, len(self.taus)))
        return [part for part in slices if self.taus[part]]


def costs_of_a_portfolio(seed, law, n_instances, n_observations, taus, methods):
    """Mean true costs of the methods and of exact Bayes; array (n_taus, n_methods + 1)."""
    portfolio = law.sample(n_instances, n_observations, random_state=seed)
    X = portfolio.observations
    laws = [method.fit(X).predict_distribution(X) for method in methods.values()]
    laws.append(law.predictive(portfolio))
    return costs_by_ratio(laws, X, taus, truth=law.truth(portfolio))


def seeds_of_a_cell(n_instances, options):
    """One seed a portfolio."""
    n_portfolios = (options.instances or INSTANCES) // n_instances
    if options.baselines and options.instances is None:
        n_portfolios = min(n_portfolios, MOST_PORTFOLIOS)
    return range(options.first_seed, options.first_seed + max(4, n_portfolios))


def run(laws, n_instances, widths, options):
    """Decide all portfolios of all cells of one number of instances."""
    taus = [*options.taus, *(tau for tau in options.extreme_taus if tau not in options.taus)]
    classical = all_baselines(taus)
    if not options.baselines:
        classical = {"SAA": classical["SAA"]}
    methods = {"network": network(options.checkpoint), **classical}
    seeds = seeds_of_a_cell(n_instances, options)
    costs = []
    for n_observations, law in product(widths, laws):
        function = partial(
            costs_of_a_portfolio,
            law=law,
            n_instances=n_instances,
            n_observations=n_observations,
            taus=taus,
            methods=methods,
        )
        costs.append(run_all(function, seeds, options.jobs))
    names = [*methods, "Bayes"]
    return Result(laws, n_instances, widths, taus, len(options.taus), names, np.stack(costs))


def print_cells(result):
    """Excess of the network and, in brackets, of SAA: a line a law, a column a ratio."""
    excess = above(result.costs.mean(axis=1), BAYES)
    wide = max(len(repr(law)) for law in result.laws)
    header = "".join(f"{f'tau={tau:g}':>14}" for tau in result.taus)
    by_width = np.split(excess, len(result.widths))
    for n_observations, by_law in zip(result.widths, by_width, strict=True):
        print(f"\nN={result.n_instances} n={n_observations}: excess over Bayes, % (SAA's)")
        print(f"{'':{wide}}{header}")
        for law, by_tau in zip(result.laws, by_law, strict=True):
            row = "".join(f"{own:7.1f} ({saa:4.0f})" for own, saa in by_tau[:, :2])
            print(f"{law!r:{wide}}{row}")


def headlines(costs):
    """Mean excess over all cells with its half width, and worst cell; three ``(n_methods,)``."""
    worst = above(costs.mean(axis=1), BAYES).max(axis=(0, 1))
    return *with_half_width(mean_above(BAYES), costs), worst


def print_headline(result, part):
    """Mean and worst excess of every method at some of the ratios."""
    laws = f"{len(result.laws)} laws" if len(result.laws) > 1 else repr(result.laws[0])
    widths = " and ".join(str(n) for n in result.widths)
    taus = ", ".join(f"{tau:g}" for tau in result.taus[part])
    print(f"\n{laws}, N={result.n_instances}, n={widths}, tau={taus}: excess over Bayes, %")
    columns = zip(result.methods, *headlines(result.costs[:, :, part]), strict=True)
    for method, mean, width, worst in list(columns)[:BAYES]:
        print(f"  {method:17} mean {mean:6.2f} +- {width:.2f}, worst cell {worst:6.1f}")


def card_summary(result):
    """What a checkpoint's card says of one number of instances."""
    means, widths, worst = headlines(result.costs[:, :, : result.n_main])
    return {
        "mean_excess_percent": round(float(means[0]), 2),
        "half_width": round(float(widths[0]), 2),
        "worst_cell_percent": round(float(worst[0]), 2),
        "saa_mean_excess_percent": round(float(means[1]), 1),
    }


def write_card(path, results):
    """Write the summary of all numbers of instances into the card of a checkpoint."""
    path = Path(path).with_suffix(".safetensors")
    checkpoint = Checkpoint.load(path)
    summary = {f"N={result.n_instances}": card_summary(result) for result in results}
    checkpoint.card["quality"]["excess_over_exact_bayes"] = summary
    checkpoint.save(path)


def lines(result):
    """Of the CSV file."""
    cells = [
        {"law": repr(law), "N": result.n_instances, "n": n}
        for n, law in product(result.widths, result.laws)
    ]
    return cell_lines(cells, result.taus, result.methods, result.costs, BAYES)


def panels(result):
    """A panel of the figure for every number of observations: means over the main ratios."""
    out = []
    by_width = np.split(result.costs[:, :, : result.n_main], len(result.widths))
    for n_observations, costs in zip(result.widths, by_width, strict=True):
        means, widths, _ = headlines(costs)
        cells = above(costs.mean(axis=1), BAYES)[..., :BAYES]
        title = f"N={result.n_instances}, n={n_observations}"
        dots = (means[:BAYES], widths[:BAYES], cells.reshape(-1, cells.shape[-1]))
        out.append((title, *dots))
    return out


def exact_bayes_tables(options):
    """Laws with exact Bayes decisions, printed and written."""
    laws = OTHER_LAWS if options.other_laws else LAWS
    blocks = [(laws, n_instances, WIDTHS) for n_instances in SIZES]
    if options.other_laws:
        blocks.append(([ZERO_INFLATED], 500, (10,)))
    results = []
    for block in blocks:
        results.append(run(*block, options))
        print_cells(results[-1])
    for result in results:
        for part in result.parts:
            print_headline(result, part)
    if options.csv:
        write_csv(options.csv, [line for result in results for line in lines(result)])
    if options.figure:
        rows = [panels(result) for result in results if result.widths == WIDTHS]
        draw_dots(options.figure, rows, results[0].methods[:BAYES], "cost above exact Bayes, %")
    if options.card:
        write_card(options.card, results)


def sizes_table(options):
    """Sizes beyond pretraining's: many more rows, and many more observations."""

    def excess(n_instances, n_observations):
        result = run(LAWS, n_instances, (n_observations,), options)
        means, _, worst = headlines(result.costs[:, :, : result.n_main])
        return means[0], worst[0]

    print("\nrows beyond pretraining's (n=3): mean excess over Bayes, %")
    by_rows = {n_instances: excess(n_instances, 3)[0] for n_instances in (500, 20_000)}
    for n_instances, mean in by_rows.items():
        print(f"  N={n_instances:<6} {mean:.2f}")
    print(f"  difference {by_rows[20_000] - by_rows[500]:+.2f} points")
    print("\nobservations beyond pretraining's (N=500): excess over Bayes, %")
    for n_observations in (30, 50, 100):
        mean, worst = excess(500, n_observations)
        print(f"  n={n_observations:<4} mean {mean:.2f}, worst cell {worst:.2f}")


def main():
    parser = make_parser(__doc__.splitlines()[0])
    parser.add_argument("--taus", type=float, nargs="+", default=TAUS)
    parser.add_argument("--extreme-taus", type=float, nargs="*", default=EXTREME_TAUS)
    parser.add_argument("--baselines", action="store_true", help="all classical methods too")
    parser.add_argument("--other-laws", action="store_true", help="laws that nobody tuned on")
    parser.add_argument("--instances", type=int, help=f"a cell; {INSTANCES} if not given")
    parser.add_argument("--sizes", action="store_true", help="sizes beyond pretraining's")
    parser.add_argument("--card", help="card of the checkpoint, to write the summary into")
    options = parser.parse_args()
    if options.card and (options.other_laws or options.sizes):
        parser.error("--card holds the summary of the seven laws")
    if options.sizes:
        sizes_table(options)
    else:
        exact_bayes_tables(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
