"""Real tables: zero-shot cost against that of classical methods.

::

    python benchmarks/real_tables.py WIDE.csv [WIDE.csv ...]
    python benchmarks/real_tables.py LONG.csv --instance store brand --value units --time week

Each draw takes N random rows and, of every row, n random observations of its own, so that they
are exchangeable. The cost is charged on all other outcomes of the row. All methods see the same
draws (paired). A cell is N, n and a critical ratio; its costs are summed over draws. ``+-`` is the
half width of a 95 % interval, by resampling draws.
"""

import sys
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
from common import (
    MOST_OBSERVATIONS,
    MOST_ROWS,
    TAUS,
    above,
    add_table_options,
    all_baselines,
    cell_lines,
    costs_by_ratio,
    draw_dots,
    draw_rows,
    make_parser,
    mean_above,
    network,
    percent_above,
    read_table,
    run_all,
    with_half_width,
    write_csv,
)

SIZES, WIDTHS = (100, MOST_ROWS), (1, 3, 5, MOST_OBSERVATIONS)
NETWORK = 0  # the first method


@dataclass
class Result:
    """Costs on one table, ``(n_widths, n_sizes, n_draws, n_taus, n_methods)``."""

    name: str
    methods: list
    costs: np.ndarray

    @property
    def cells(self):
        """Costs as ``(n_cells, n_draws, n_taus, n_methods)``."""
        return self.costs.reshape(-1, *self.costs.shape[2:])


def costs_of_a_draw(seed, table, n_instances, n_observations, methods):
    """Mean cost of the methods on the outcomes that they did not see; (n_taus, n_methods)."""
    outcomes = draw_rows(table, n_instances, seed)
    X, y = outcomes[:, :n_observations], outcomes[:, n_observations:]
    laws = [method.fit(X).predict_distribution(X) for method in methods.values()]
    return costs_by_ratio(laws, X, TAUS, y=y)


def run(path, methods, options):
    """All draws of all cells of one table."""
    table = read_table(path, options)
    print(f"\n{Path(path).name}: {len(table)} rows, {options.draws} draws", flush=True)
    seeds = range(options.first_seed, options.first_seed + options.draws)
    costs = []
    for n_observations, n_instances in product(WIDTHS, SIZES):
        function = partial(
            costs_of_a_draw,
            table=table,
            n_instances=n_instances,
            n_observations=n_observations,
            methods=methods,
        )
        costs.append(run_all(function, seeds, options.jobs))
    costs = np.stack(costs)
    return Result(
        Path(path).name, list(methods), costs.reshape(len(WIDTHS), len(SIZES), *costs.shape[1:])
    )


def print_by_baseline(result):
    """Cost of the network above each baseline's, on average over cells; and the best baseline."""

    def network_above(totals):
        return percent_above(totals[..., [NETWORK]], totals[..., 1:]).mean(axis=(-3, -2))

    parts = [result.cells, *(result.costs[k] for k in range(len(WIDTHS)))]
    columns = [with_half_width(network_above, part) for part in parts]
    titles = ["all cells", *(f"n={n}" for n in WIDTHS)]
    print("cost of the network above each baseline's, %")
    print(f"{'':18}" + "".join(f"{title:>17}" for title in titles))
    for b, baseline in enumerate(result.methods[1:]):
        row = "".join(f"{mean[b]:9.1f} +- {half[b]:4.1f}" for mean, half in columns)
        print(f"{baseline:18}{row}")
    means, widths = columns[0]
    best = np.argmax(means)
    print(
        f"best single baseline: {result.methods[1 + best]}; the network's cost is "
        f"{means[best]:+.2f} % +- {widths[best]:.2f} of it"
    )


def print_by_cell(result):
    """Cost of the network above that of the best baseline of every cell."""
    totals = result.cells.mean(axis=1)
    best = 1 + np.argmin(totals[..., 1:], axis=-1)
    cells = np.ogrid[: totals.shape[0], : totals.shape[1]]

    def network_above_best(totals):
        return percent_above(totals[..., NETWORK], totals[(..., *cells, best)])

    values, widths = with_half_width(network_above_best, result.cells)
    print("cost of the network above that of each cell's best baseline, %")
    print(f"{'':12}" + "".join(f"{f'tau={tau:g}':>32}" for tau in TAUS))
    for c, (n_observations, n_instances) in enumerate(product(WIDTHS, SIZES)):
        row = "".join(
            f"{values[c, t]:7.1f} +-{widths[c, t]:4.1f} {result.methods[best[c, t]]:>17}"
            for t in range(len(TAUS))
        )
        print(f"n={n_observations:<3} N={n_instances:<5}{row}")
    print(f"largest: {values.max():+.1f} %, mean {values.mean():+.1f} %")


def lines(result):
    """Of the CSV file."""
    cells = [{"table": result.name, "N": N, "n": n} for n, N in product(WIDTHS, SIZES)]
    return cell_lines(cells, TAUS, result.methods, result.cells, NETWORK)


def panels(result):
    """A panel of the figure for every number of observations."""
    out = []
    for n_observations, costs in zip(WIDTHS, result.costs, strict=True):
        means, widths = with_half_width(mean_above(NETWORK), costs)
        cells = above(costs.mean(axis=1), NETWORK).reshape(-1, costs.shape[-1])
        out.append((f"{result.name}\nn={n_observations}", means, widths, cells))
    return out


def main():
    parser = make_parser(__doc__.splitlines()[0])
    add_table_options(parser, "+")
    options = parser.parse_args()
    methods = {"network": network(options.checkpoint), **all_baselines(TAUS)}
    results = []
    for path in options.tables:
        results.append(run(path, methods, options))
        print_by_baseline(results[-1])
        print_by_cell(results[-1])
    if options.csv:
        write_csv(options.csv, [line for result in results for line in lines(result)])
    if options.figure:
        rows = [panels(result) for result in results]
        draw_dots(options.figure, rows, list(methods), "cost above the network's, %")
    return 0


if __name__ == "__main__":
    sys.exit(main())
