"""Calibration: how often later outcomes are at or below predicted quantiles, zero-shot.

::

    python benchmarks/calibration.py                     # laws, N = 500
    python benchmarks/calibration.py --other-laws        # laws that nobody tuned on
    python benchmarks/calibration.py TABLE.csv ...       # real tables, as for real_tables.py

The share of randomised PITs at or below a level, minus the level, in points. ``+-`` is the half
width of a 95 % interval over portfolios or draws.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
from common import (
    LAWS,
    MOST_ROWS,
    OTHER_LAWS,
    ZERO_INFLATED,
    add_table_options,
    draw_rows,
    make_parser,
    network,
    read_table,
    run_all,
    write_csv,
)

from sklearn_pttf.inspection import coverage_table, pit_values

LEVELS = (0.1, 0.5, 0.9, 0.95)
N_OUTCOMES = 20  # of a law, an instance
PIT_SEED = 1_000_000  # PITs must not be drawn with the very numbers that made the outcomes
LAW_WIDTHS, TABLE_WIDTHS = (3, 10), (3, 5, 10)


def coverage_error(outcomes, n_observations, method, seed):
    """Share of later outcomes up to each level, minus the level, in points; (n_levels,)."""
    X, y = outcomes[:, :n_observations], outcomes[:, n_observations:]
    law = method.fit(X).predict_distribution(X)
    pit = pit_values(law, y, random_state=PIT_SEED + seed)
    return 100 * (coverage_table(pit, LEVELS).observed - np.array(LEVELS))


def error_on_law(seed, law, n_observations, method):
    """Of one portfolio of a law."""
    portfolio = law.sample(MOST_ROWS, n_observations + N_OUTCOMES, random_state=seed)
    return coverage_error(portfolio.observations, n_observations, method, seed)


def error_on_table(seed, table, n_observations, method):
    """Of one draw of rows and observations of a real table."""
    outcomes = draw_rows(table, MOST_ROWS, seed)
    return coverage_error(outcomes, n_observations, method, seed)


def sources(options):
    """Names of laws or tables, with the error of a seed as a function; and the widths."""
    if options.tables:
        tables = {Path(path).name: read_table(path, options) for path in options.tables}
        return {n: partial(error_on_table, table=t) for n, t in tables.items()}, TABLE_WIDTHS
    laws = [*OTHER_LAWS, ZERO_INFLATED] if options.other_laws else LAWS
    return {repr(law): partial(error_on_law, law=law) for law in laws}, LAW_WIDTHS


def coverage_errors(by_name, n_observations, method, options):
    """Errors by law or table and level, and half widths; both (n_lines, n_levels)."""
    seeds = range(options.first_seed, options.first_seed + options.draws)
    functions = [partial(f, n_observations=n_observations, method=method) for f in by_name.values()]
    draws = np.stack([run_all(function, seeds, options.jobs) for function in functions])
    widths = 1.96 * draws.std(axis=1, ddof=1) / np.sqrt(len(seeds))
    return draws.mean(axis=1), widths


def print_table(names, n_observations, errors, widths):
    """A line a law or table, a column a level."""
    wide = max(len(name) for name in names)
    print(f"\nN={MOST_ROWS} n={n_observations}: coverage minus nominal, points")
    print(f"{'':{wide}}" + "".join(f"{f'at {level:g}':>17}" for level in LEVELS))
    for name, *columns in zip(names, errors, widths, strict=True):
        row = "".join(f"{e:+9.2f} +-{w:5.2f}" for e, w in zip(*columns, strict=True))
        print(f"{name:{wide}}{row}")


def print_headlines(errors):
    """Errors of every level over all lines of all tables; errors are (n_lines, n_levels)."""
    print(f"\n{'over all lines, points':24}" + "".join(f"{f'at {level:g}':>9}" for level in LEVELS))
    for title, values in (
        ("mean error", errors.mean(axis=0)),
        ("mean absolute error", np.abs(errors).mean(axis=0)),
        ("largest absolute error", np.abs(errors).max(axis=0)),
    ):
        print(f"{title:24}" + "".join(f"{value:9.2f}" for value in values))


def csv_lines(names, n_observations, errors, widths):
    """A dict for every law or table and level."""
    return [
        {
            "source": name,
            "N": MOST_ROWS,
            "n": n_observations,
            "level": level,
            "error_points": f"{errors[k, j]:.3f}",
            "half_width": f"{widths[k, j]:.3f}",
        }
        for k, name in enumerate(names)
        for j, level in enumerate(LEVELS)
    ]


def main():
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    add_table_options(parser, "*")
    parser.add_argument("--other-laws", action="store_true", help="laws that nobody tuned on")
    options = parser.parse_args()
    method = network(options.checkpoint)
    by_name, all_widths = sources(options)
    all_errors, lines = [], []
    for n_observations in all_widths:
        errors, widths = coverage_errors(by_name, n_observations, method, options)
        print_table(by_name, n_observations, errors, widths)
        lines += csv_lines(by_name, n_observations, errors, widths)
        all_errors.append(errors)
    print_headlines(np.concatenate(all_errors))
    if options.csv:
        write_csv(options.csv, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
