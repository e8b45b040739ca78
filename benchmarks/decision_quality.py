"""Decision quality: zero-shot cost against the exact Bayes decision, and against SAA.

::

    python benchmarks/decision_quality.py                     # laws with exact Bayes decisions
    python benchmarks/decision_quality.py --sizes             # sizes beyond pretraining's
    python benchmarks/decision_quality.py --real TABLE.csv    # one row an instance, many columns

Every portfolio is decided by all methods (paired), costs under the true law are exact, and
``excess`` is the ratio of summed costs to exact Bayes, minus one. ``+-`` is the half width of
a 95 % interval of the mean over cells or draws, by resampling portfolios.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer
from sklearn_pttf.baselines import SampleAverage
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

LAWS = [
    GammaPoisson(2.0, 0.2),
    GammaPoisson(10.0, 1.0),
    GammaPoisson(0.5, 0.1),
    GammaPoisson(5.0, 0.05),
    LognormalNormal(4.0, 0.3, 0.3),
    LognormalNormal(6.0, 0.8, 0.2),
    LognormalNormal(3.0, 0.2, 0.7),
]
TAUS = (0.5, 0.9, 0.95)
ROWS = 10_000  # instances a cell, over all its portfolios
N_RESAMPLES = 400


def costs_of_a_portfolio(law, n_instances, n_observations, taus, checkpoint, seed):
    """Summed true costs of the network, SAA and exact Bayes; array (n_taus, 3)."""
    portfolio = law.sample(n_instances, n_observations, random_state=seed)
    X, truth, bayes = portfolio.observations, law.truth(portfolio), law.predictive(portfolio)
    methods = [
        PretrainedDecisionTransformer(checkpoint=checkpoint, device="cpu").fit(X),
        SampleAverage().fit(X),
    ]
    out = []
    for tau in taus:
        problem = Newsvendor.from_service_level(tau)
        charged = portfolio.with_costs(problem.read_costs(X))
        decisions = [method.decide(X, problem=problem) for method in methods]
        decisions.append(problem.solve(bayes, charged))
        out.append([problem.expected_cost(d, truth, charged).sum() for d in decisions])
    return np.array(out)


def cell(law, n_instances, n_observations, taus, checkpoint, first_seed=0):
    """Costs of all portfolios of a cell; array (n_portfolios, n_taus, 3)."""
    n_portfolios = max(4, ROWS // n_instances)
    seeds = range(first_seed, first_seed + n_portfolios)
    return np.array(
        [
            costs_of_a_portfolio(law, n_instances, n_observations, taus, checkpoint, seed)
            for seed in seeds
        ]
    )


def excess(costs):
    """Excess over Bayes in percent of the network and SAA; array (n_taus, 2)."""
    total = costs.sum(axis=0)
    return 100 * (total[:, :2] / total[:, 2:] - 1)


def half_width(cells, rng):
    """Of a 95 % interval of the network's mean excess over cells, resampling portfolios."""
    means = []
    for _ in range(N_RESAMPLES):
        again = [c[rng.randint(len(c), size=len(c))] for c in cells]
        means.append(np.mean([excess(c)[:, 0] for c in again]))
    return 1.96 * np.std(means)


def exact_bayes_table(checkpoint, taus):
    """The seven laws at N in {20, 500} and n in {3, 10}."""
    rng, summary = np.random.RandomState(0), {}
    header = "".join(f"  tau={tau:<5g}" for tau in taus)
    for n_instances in (20, 500):
        cells, values, reference = [], [], []
        for n_observations in (3, 10):
            print(f"\nN={n_instances} n={n_observations}: excess over Bayes, % (SAA's)")
            print(f"{'':26}{header}")
            for law in LAWS:
                costs = cell(law, n_instances, n_observations, taus, checkpoint)
                table = excess(costs)
                cells.append(costs)
                values.extend(table[:, 0])
                reference.extend(table[:, 1])
                row = "".join(f"{own:5.1f} ({saa:4.0f})" for own, saa in table)
                print(f"{law!r:26}{row}")
        summary[f"N={n_instances}"] = {
            "mean_excess_percent": round(float(np.mean(values)), 2),
            "half_width": round(float(half_width(cells, rng)), 2),
            "worst_cell_percent": round(float(np.max(values)), 2),
            "saa_mean_excess_percent": round(float(np.mean(reference)), 1),
        }
    for name, row in summary.items():
        print(
            f"\n{name}: mean {row['mean_excess_percent']:.2f} % +- {row['half_width']:.2f}, worst "
            f"cell {row['worst_cell_percent']:.1f} %; SAA {row['saa_mean_excess_percent']:.1f} %",
            end="",
        )
    both = np.mean([row["mean_excess_percent"] for row in summary.values()])
    print(f"\nall cells: mean {both:.2f} %")
    return summary


def sizes_table(checkpoint, taus):
    """Sizes beyond pretraining's: many more rows, and many more observations."""
    print("\nrows beyond pretraining's (n=3): mean excess over Bayes, %")
    by_rows = {}
    for n_instances in (500, 20_000):
        by_rows[n_instances] = np.mean(
            [excess(cell(law, n_instances, 3, taus, checkpoint))[:, 0] for law in LAWS]
        )
        print(f"  N={n_instances:<6} {by_rows[n_instances]:.2f}")
    print(f"  difference {by_rows[20_000] - by_rows[500]:+.2f} points")
    print("\nobservations beyond pretraining's (N=500): excess over Bayes, %")
    for n_observations in (30, 50, 100):
        values = [excess(cell(law, 500, n_observations, taus, checkpoint))[:, 0] for law in LAWS]
        print(
            f"  n={n_observations:<4} mean {np.mean(values):.2f}, worst cell {np.max(values):.2f}"
        )


def saving(X, y, tau, checkpoint):
    """Share of SAA's cost on later outcomes that the network saves."""
    problem = Newsvendor.from_service_level(tau)
    estimator = PretrainedDecisionTransformer(problem, checkpoint=checkpoint, device="cpu")
    return estimator.fit(X).score(X, y)


def real_table(path, checkpoint, taus, n_draws=5):
    """Hindsight cost against SAA's on a real table.

    Every instance's observations are drawn on their own, so that they are exchangeable; the
    cost is charged on all its other outcomes.
    """
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    print(f"\n{Path(path).name}: saving over SAA, % (95 % interval over {n_draws} draws)")
    print(f"{'':14}" + "".join(f"   tau={tau:<11g}" for tau in taus))
    for n_instances in (100, 500):
        for n_observations in (3, 10):
            savings = []
            for draw in range(n_draws):
                rng = np.random.RandomState(draw)
                rows = table[rng.permutation(len(table))[:n_instances]]
                shuffled = np.random.default_rng(draw).permuted(rows, axis=1)
                X, y = shuffled[:, :n_observations], shuffled[:, n_observations:]
                savings.append([100 * saving(X, y, tau, checkpoint) for tau in taus])
            mean = np.mean(savings, axis=0)
            width = 1.96 * np.std(savings, axis=0, ddof=1) / np.sqrt(n_draws)
            row = "".join(f"{m:7.1f} +- {w:4.1f}   " for m, w in zip(mean, width, strict=True))
            print(f"N={n_instances:<4} n={n_observations:<4} {row}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="demand")
    parser.add_argument("--taus", type=float, nargs="+", default=TAUS)
    parser.add_argument("--sizes", action="store_true", help="sizes beyond pretraining's")
    parser.add_argument("--real", help="CSV of real outcomes, one row an instance")
    parser.add_argument("--card", help="card of the checkpoint, to write the summary into")
    options = parser.parse_args()
    options.checkpoint = Checkpoint.load(options.checkpoint)
    if options.sizes:
        sizes_table(options.checkpoint, options.taus)
    if options.real:
        real_table(options.real, options.checkpoint, options.taus)
    if not options.sizes and not options.real:
        summary = exact_bayes_table(options.checkpoint, options.taus)
        if options.card:
            path = Path(options.card)
            card = json.loads(path.read_text(encoding="utf-8"))
            card["quality"]["excess_over_exact_bayes"] = summary
            path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
