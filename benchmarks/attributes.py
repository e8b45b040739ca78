"""Attributes: new rows, real rows, and labels that mean nothing.

::

    python benchmarks/attributes.py
    python benchmarks/attributes.py --oranges orange_juice.csv.gz orange_juice_stores.csv
    python benchmarks/attributes.py --vn2 FOLDER

Without a table rows are synthetic, 500 of two or of ten categories. *New rows* have no
observations: costs are set against those of the decision that knows the law of the row's category.
*Shapes* are two categories of which one sells nothing in six of ten periods and varies more, with
the same mean or another; costs of the 500 rows are set against those that know each row's law.
*Labels that mean nothing* are drawn at random, up to one for each row: costs are set against those
without attributes. Of a real table each draw takes n random observations of each row; costs are
charged on all others of the row, and set against those without attributes. "Group" is the quantile
of all observations of the rows that have the same labels. All see the same draws. ``+-`` is the
half width of a 95 % interval, by resampling draws.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf.problems import Newsvendor

TAUS = (0.5, 0.9, 0.95)
N_ROWS, N_OUTCOMES = 500, 40_000
OWN_SPREAD = 0.4  # of log levels within a category
CATEGORIES = {2: np.array([3.0, 55.0]), 10: np.exp(np.linspace(0.5, 5.0, 10))}
SHAPES = np.array([0.0, 0.6]), np.array([0.3, 0.7])  # share of silent periods, relative noise
NUMBERS = ("age60", "educ", "ethnic", "income", "hhlarge", "workwom", "hval150")


def outcomes_of(means, noise, rng, size):
    """Outcomes of rows of some means, ``(n, size)``."""
    shape = (len(means), size)
    if noise == "lognormal":
        return means[:, None] * np.exp(0.5 * rng.standard_normal(shape) - 0.125)
    uneven = rng.gamma(4.0, 0.25, size=shape) if noise == "overdispersed" else np.ones(shape)
    return rng.poisson(means[:, None] * uneven).astype(float)


def levels_of(category, means, rng):
    own = OWN_SPREAD * rng.standard_normal(len(category)) - OWN_SPREAD**2 / 2
    return means[category] * np.exp(own)


def problem_of(tau, columns, attributes):
    return Newsvendor.from_service_level(tau, observations=columns, attributes=attributes)


def frame_of(observations, **attributes):
    """A table, and the names of its observations."""
    columns = [f"w{k}" for k in range(observations.shape[1])]
    return pd.DataFrame(observations, columns=columns).assign(**attributes), columns


def fitted(X, columns, attributes):
    estimator = PretrainedDecisionTransformer(
        problem_of(0.5, columns, attributes), finetune=None, device="cpu"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(X)


def cost(decision, outcomes, tau):
    """Mean cost of every row; ``(n,)``."""
    short = outcomes - decision[:, None]
    return np.nanmean(np.maximum(tau * short, (tau - 1) * short), axis=1)


def costs_of_new_rows(seed, n_categories, n_observations, noise):
    """Costs of new rows, one a category: with attributes, without, group, knowing; (4, tau)."""
    rng, means = np.random.default_rng(seed), CATEGORIES[n_categories]
    category = rng.integers(n_categories, size=N_ROWS)
    X, columns = frame_of(
        outcomes_of(levels_of(category, means, rng), noise, rng, n_observations),
        kind=[f"kind {k}" for k in category],
    )
    new, _ = frame_of(
        np.full((n_categories, n_observations), np.nan),
        kind=[f"kind {k}" for k in range(n_categories)],
    )
    every = np.repeat(np.arange(n_categories), N_OUTCOMES)
    later = outcomes_of(levels_of(every, means, rng), noise, rng, 1).reshape(n_categories, -1)
    told, plain = fitted(X, columns, ["kind"]), fitted(X, columns, None)
    found = []
    for tau in TAUS:
        group = [np.quantile(X.loc[category == k, columns], tau) for k in range(n_categories)]
        decisions = [
            told.decide(new, problem=problem_of(tau, None, ["kind"])),
            plain.decide(new, problem=problem_of(tau, None, None)),
            np.array(group),
            np.quantile(later, tau, axis=1),
        ]
        found.append([cost(d, later, tau).sum() for d in decisions])
    return np.array(found).T


def shaped(levels, category, rng, size):
    """Outcomes of rows of some means, steady or lumpy ones; ``(n, size)``."""
    silent, noise = (x[category][:, None] for x in SHAPES)
    uneven = rng.gamma(1 / noise**2, noise**2, size=(len(levels), size))
    seen = rng.random((len(levels), size)) >= silent
    return (rng.poisson(levels[:, None] / (1 - silent) * uneven) * seen).astype(float)


def costs_of_shapes(seed, means, n_observations):
    """Costs of rows, and of new ones: attributes, without, group, knowing; (4, tau) each."""
    rng = np.random.default_rng(seed)
    category, means = rng.integers(2, size=N_ROWS), np.array(means)
    levels = levels_of(category, means, rng)
    kind = [f"kind {k}" for k in category]
    X, columns = frame_of(shaped(levels, category, rng, n_observations), kind=kind)
    new, _ = frame_of(np.full((2, n_observations), np.nan), kind=["kind 0", "kind 1"])
    later = shaped(levels, category, rng, 400)
    every = np.repeat([0, 1], N_OUTCOMES)
    of_new = shaped(levels_of(every, means, rng), every, rng, 1).reshape(2, -1)
    told, plain = fitted(X, columns, ["kind"]), fitted(X, columns, None)
    found = []
    for rows, outcomes, codes in ((X, later, category), (new, of_new, np.arange(2))):
        costs = []
        for tau in TAUS:
            group = [np.quantile(X.loc[category == k, columns], tau) for k in range(2)]
            decisions = [
                told.decide(rows, problem=problem_of(tau, None, ["kind"])),
                plain.decide(rows, problem=problem_of(tau, None, None)),
                np.array(group)[codes],
                np.quantile(outcomes, tau, axis=1),
            ]
            costs.append([cost(d, outcomes, tau).sum() for d in decisions])
        found.append(np.array(costs).T)
    return found


def costs_of_random_labels(seed, n_labels, n_rows, noise, n_observations=5):
    """Costs with labels that mean nothing, and without; (2, tau)."""
    rng = np.random.default_rng(seed)
    level = levels_of(np.zeros(n_rows, dtype=int), np.array([8.0]), rng)
    label = rng.permutation(n_rows) % n_labels
    X, columns = frame_of(
        outcomes_of(level, noise, rng, n_observations), kind=[f"kind {k}" for k in label]
    )
    later = outcomes_of(level, noise, rng, 200)
    told, plain = fitted(X, columns, ["kind"]), fitted(X, columns, None)
    return np.array(
        [
            [
                cost(fit.decide(X, problem=problem_of(tau, None, names)), later, tau).sum()
                for tau in TAUS
            ]
            for fit, names in ((told, ["kind"]), (plain, None))
        ]
    )


def costs_of_real_rows(seed, table, about, labels, n_observations):
    """Costs with attributes, without, and of the group's quantile; (3, tau)."""
    rng = np.random.default_rng(seed)
    keys = np.where(np.isnan(table), np.inf, rng.random(table.shape))
    table = np.take_along_axis(table, np.argsort(keys, axis=1), axis=1)
    later = table[:, n_observations:]
    X, columns = frame_of(table[:, :n_observations], **about)
    told, plain = fitted(X, columns, list(about)), fitted(X, columns, None)
    group = X.groupby([X[name] for name in labels])[columns]
    found = []
    for tau in TAUS:
        of_group = group.transform(lambda x, tau=tau: x.quantile(tau)).mean(axis=1).to_numpy()
        decisions = [
            told.decide(X, problem=problem_of(tau, None, list(about))),
            plain.decide(X, problem=problem_of(tau, None, None)),
            of_group,
        ]
        found.append([cost(d, later, tau).sum() for d in decisions])
    return np.array(found).T


def oranges(sales, stores):
    """Orange juice: units of stores and brands by week, and what they are."""
    frame = pd.read_csv(sales)
    wide = frame.pivot_table(index=["store", "brand"], columns="week", values="units")
    wide = wide[wide.notna().sum(axis=1) > 20]
    store, brand = (wide.index.get_level_values(k) for k in (0, 1))
    about = pd.read_csv(stores).rename(columns=str.lower).set_index("store").loc[store]
    attributes = {"brand": brand.astype(str), "store": store.astype(str)}
    attributes |= {name: about[name].to_numpy() for name in NUMBERS}
    return wide.to_numpy(), attributes, ["brand"]


def vn2(folder):
    """VN2: weekly sales of products in stores, in stock, and what they are."""
    own = ["Store", "Product"]
    sales = pd.read_csv(Path(folder) / "sales.csv.gz").set_index(own)
    stock = pd.read_csv(Path(folder) / "in_stock.csv.gz").set_index(own)
    table = sales.where(stock.to_numpy() != 0).to_numpy(dtype=float)[:, -104:]
    about = pd.read_csv(Path(folder) / "master.csv").set_index(own).loc[sales.index].reset_index()
    names = ["Store", "ProductGroup", "Division", "Department", "StoreFormat"]
    kept = (~np.isnan(table)).sum(axis=1) > 20
    about = about[kept]
    return table[kept], {name: about[name].astype(str).to_numpy() for name in names}, ["Division"]


def above(costs, reference, rng):
    """Percent above the reference, for each ratio, and on average; with half widths."""

    def percent(costs):
        own, other = costs.sum(axis=0)
        each = 100 * (own / other - 1)
        return np.append(each, each.mean())

    pair = costs[:, [0, 1]] if reference is None else costs[:, reference]
    some = [percent(pair[rng.integers(len(pair), size=len(pair))]) for _ in range(400)]
    widths = np.diff(np.quantile(some, [0.025, 0.975], axis=0), axis=0)[0] / 2
    return "  ".join(
        f"{value:7.2f} +- {width:4.2f}" for value, width in zip(percent(pair), widths, strict=True)
    )


def report(title, draws, methods, reference):
    rng = np.random.default_rng(0)
    print(f"\n{title}: cost above '{reference}', %; ratios {TAUS}, mean")
    costs = np.array(draws)
    last = methods.index(reference)
    for k, name in enumerate(methods):
        if k != last:
            print(f"  {name:20s}{above(costs, [k, last], rng)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--oranges", nargs=2, metavar=("SALES", "STORES"))
    parser.add_argument("--vn2", metavar="FOLDER")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.draws)
    tables = []
    if options.oranges:
        tables.append(("orange juice", *oranges(*options.oranges)))
    if options.vn2:
        tables.append(("VN2", *vn2(options.vn2)))
    for name, *table in tables:
        for n in (1, 3):
            draws = [costs_of_real_rows(seed, *table, n) for seed in seeds]
            methods = ["attributes", "no attributes", "group"]
            report(f"{name}, {len(table[0])} rows, n={n}", draws, methods, "no attributes")
    if tables:
        return
    methods = ["attributes", "no attributes", "group", "knows the law"]
    for means in ((20.0, 20.0), (60.0, 5.0)):
        for n in (1, 3, 10):
            draws = zip(*[costs_of_shapes(seed, means, n) for seed in seeds], strict=True)
            for what, costs in zip(("rows", "new rows"), draws, strict=True):
                title = f"shapes, {what}, means {means}, n={n}"
                report(title, list(costs), methods, "knows the law")
    for noise in ("poisson", "overdispersed", "lognormal"):
        for n_categories in CATEGORIES:
            for n in (1, 5):
                draws = [costs_of_new_rows(seed, n_categories, n, noise) for seed in seeds]
                title = f"new rows, {n_categories} categories, {noise}, n={n}"
                report(title, draws, methods, "knows the law")
        for n_labels in (5, 50, 250, N_ROWS):
            draws = [costs_of_random_labels(seed, n_labels, N_ROWS, noise) for seed in seeds]
            title = f"{n_labels} labels that mean nothing, {N_ROWS} rows, {noise}"
            report(title, draws, ["attributes", "no attributes"], "no attributes")


if __name__ == "__main__":
    main()
