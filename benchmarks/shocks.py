"""Shocks that all rows of a period share: does finetuning keep what its report promises?

::

    python benchmarks/shocks.py                          # 15 minutes of one core
    python benchmarks/shocks.py --later 1 4 --seeds 2

Rows are Poisson counts of lognormal levels and noise. ``shocks``: every period multiplies all rows
by a lognormal shock of .25. ``drift``: all rows grow by a tenth a period, up to the last of ``y``.
``none``: neither. A case is decided with the shipped weights, and with weights that order far too
much, which finetuning has to mend (``biased``). ``later`` is the number of columns of ``y``; ``-``
is none.

Every line compares ``finetune="auto"`` with ``finetune=None`` on 200 later periods that neither
has seen: the mean ratio of their costs and the largest of all seeds; the mean of what the reports
of the fits said that ratio would be; and what was in use.
"""

import sys
import warnings
from itertools import product

import joblib
import numpy as np
import torch
from common import make_parser, verdict, write_csv

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer
from sklearn_pttf.metrics import decision_cost
from sklearn_pttf.problems import Newsvendor

PROBLEM = Newsvendor(9.0, 1.0)
N_FRESH = 200  # later periods that decisions are charged on
GROWTH = 1.1  # a period, of rows that drift
SHOCK, NOISE = 0.25, 0.2
CASES = ("shocks", "drift", "none")
LATER = (0, 1, 2, 4, 8)
MOST = 1.03  # cost over that of finetune=None


def draw(case, n_rows, n_periods, n_later, seed):
    """Observations, later outcomes, and fresh ones; ``(n_rows, ...)``."""
    rng = np.random.default_rng(seed)
    total = n_periods + n_later + N_FRESH
    level = rng.lognormal(4.0, 0.8, (n_rows, 1))
    period = np.ones(total)
    if case == "shocks":
        period = np.exp(SHOCK * rng.normal(size=total) - SHOCK**2 / 2)
    if case == "drift":  # which ends with what was seen
        period = GROWTH ** np.minimum(np.arange(total), n_periods + n_later - 1)
    own = rng.lognormal(-(NOISE**2) / 2, NOISE, (n_rows, total))
    outcomes = rng.poisson(level * period * own).astype(float)
    return np.split(outcomes, [n_periods, n_periods + n_later], axis=1)


def biased(checkpoint):
    """The weights, with a shift of all orders by one standard deviation of the noise."""
    network = checkpoint.build_network()
    with torch.no_grad():
        network.head.mlp[-1].bias[network.head.place_of("shift")] += 1.0
    return Checkpoint.from_network(network, checkpoint.card)


def fit_and_charge(case, checkpoint, n_rows, n_periods, n_later, seed):
    """Ratio of costs, what the report said of it, and what was in use."""
    X, y, fresh = draw(case, n_rows, n_periods, n_later, seed)
    estimators = [
        PretrainedDecisionTransformer(PROBLEM, checkpoint=checkpoint, random_state=seed, **more)
        for more in ({"finetune": None}, {})
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frozen, tuned = (each.fit(X, y if n_later else None) for each in estimators)
    costs = [decision_cost(fresh, each.decide(X), problem=PROBLEM, X=X) for each in (frozen, tuned)]
    report = tuned.finetune_report_
    mean = report["mean_cost"][report["chosen"]][0]
    promised = 1.0 if "reason" in report else mean / report["mean_cost"][0]
    chosen = "not tried" if "reason" in report else str(report["candidate"][report["chosen"]][0])
    return costs[1] / costs[0], promised, chosen


def run(options):
    """A dict for every case, weights and number of later periods."""
    shipped = Checkpoint.load(options.checkpoint)
    weights = {"shipped": shipped, "biased": biased(shipped)}
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    lines = []
    print(f"{'':28}{'ratio':>8}{'largest':>9}{'promised':>10}  in use")
    for case, name, n_later in product(options.cases, options.weights, options.later):
        cell = (case, weights[name], options.rows, options.periods, n_later)
        found = joblib.Parallel(options.jobs)(
            joblib.delayed(fit_and_charge)(*cell, seed) for seed in seeds
        )
        ratios, promised, chosen = zip(*found, strict=True)
        used = ", ".join(f"{each} {chosen.count(each)}" for each in sorted(set(chosen)))
        line = {"case": case, "weights": name, "later": n_later, "ratio": np.mean(ratios)}
        line |= {"largest": max(ratios), "promised": np.mean(promised), "in_use": used}
        lines.append(line)
        print(
            f"{case:8} {name:8} later={n_later or '-'!s:<4}{line['ratio']:8.3f}"
            f"{line['largest']:9.3f}{line['promised']:10.3f}  {used}",
            flush=True,
        )
    return lines


def main(arguments=None):
    parser = make_parser(__doc__.splitlines()[0], figure=False)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--weights", nargs="+", default=("shipped", "biased"))
    parser.add_argument("--later", nargs="+", type=int, default=LATER, help="columns of y")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--periods", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args(arguments)
    lines = run(options)
    most = max(line["largest"] for line in lines)
    verdict(f"largest ratio {most:.3f}, at most {MOST} asked", most <= MOST)
    if options.csv:
        write_csv(options.csv, lines)
    return lines


if __name__ == "__main__":
    main()
    sys.exit(0)
