"""One observation a row: zero-shot cost against the Bayes decision of the prior itself.

::

    python benchmarks/one_observation.py --reference one.safetensors

With one observation a row nothing in X tells level from noise: counts whose means differ, and
counts of one and the same negative binomial law, can have equal distributions. So a checkpoint
is compared with the Bayes decision of the prior that it was pretrained on. That is estimated by a
reference that was trained long on nothing else: it goes on from the checkpoint on portfolios of
its prior with 500 rows of one observation each (20,000 steps of 2,000 rows, an hour on one core;
``--steps`` for another number). ``--reference`` names the file that keeps it; without one it is
trained anew.

First table: portfolios of the prior, charged on 200 later outcomes of every row. A portfolio's
costs are divided by the mean distance of outcomes from their mean, so that all count alike; those
with more than 90 % zeros, where an order of one costs many times what it should, are apart. Second
table: exact costs under pairs of truths that X cannot tell apart, rows that differ and rows alike.

``above`` is the cost of the checkpoint over that of the reference, in percent, with half the width
of a 95 % interval over portfolios; ``exact``, in the second table, that of the checkpoint over the
decision that knows which truth it is.
"""

from pathlib import Path

import numpy as np
import torch
from common import costs_by_ratio, make_parser, percent_above, ratio_of_few, run_all, write_csv

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer, SyntheticPrior, pretrain
from sklearn_pttf._laws.parametric import LognormalLaw, NegativeBinomialLaw
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

TAUS = (0.5, 0.9, 0.95)
N_ROWS, N_OUTCOMES = 500, 200
SPARSE = 0.9  # share of zeros of portfolios that are counted apart
LAWS = (GammaPoisson(2.0, 0.2), GammaPoisson(0.5, 0.1), LognormalNormal(4.0, 0.3, 0.3))


def prior_of_one(card):
    """The prior of a checkpoint, for portfolios of 500 rows with one observation each."""
    prior = SyntheticPrior.from_description(card["prior"])
    return prior.set_params(n_instances=N_ROWS, n_observations=1, ragged_share=0.0)


def read_reference(checkpoint, options):
    """The long-trained reference: read, or trained and kept."""
    path = options.reference
    if path is not None and path.exists():
        reference = Checkpoint.load(path)
        if reference.card["training"]["start"] != checkpoint.fingerprint():
            raise SystemExit(f"{path} does not go on from checkpoint {options.checkpoint!r}.")
        return reference
    reference = pretrain(
        prior_of_one(checkpoint.card),
        checkpoint=checkpoint,
        n_steps=options.steps,
        rows=2000,
        n_outcomes=16,
        lr=7e-4,
        cooldown=0.9,
        resume=None if path is None else path.with_suffix(".state"),
        device="cpu",
        name="one observation",
    )
    if path is not None:
        reference.save(path)
    return reference


def laws_of(checkpoints, X):
    """The predictive laws of X by each checkpoint."""
    return [
        PretrainedDecisionTransformer(checkpoint=each, finetune=None, device="cpu")
        .fit(X)
        .predict_distribution(X)
        for each in checkpoints
    ]


def draw_portfolio(prior, seed):
    """Observations and later outcomes of one portfolio of the prior."""
    draw = prior.draw(1, N_ROWS, 1, N_OUTCOMES, torch.Generator().manual_seed(seed))
    return [part[0].numpy().astype(float) for part in (draw.observations, draw.outcomes)]


def costs_on_the_prior(checkpoints, prior, seed):
    """Costs on one portfolio of the prior, in units of its spread; (n_taus, 2)."""
    X, y = draw_portfolio(prior, seed)
    unit = np.abs(y - y.mean()).mean()
    return costs_by_ratio(laws_of(checkpoints, X), X, TAUS, y=y) / (unit or 1.0)


def alike(law, n_rows):
    """The law of rows that are all alike, under which X has the same distribution."""
    if isinstance(law, GammaPoisson):
        return NegativeBinomialLaw(np.full(n_rows, law.shape), law.rate / (1 + law.rate))
    sd = np.hypot(law.spread, law.noise)
    return LognormalLaw(np.full(n_rows, law.mean), np.full(n_rows, sd))


def costs_on_a_law(checkpoints, law, seed):
    """Exact costs if rows differ, and if they are alike; (2, n_taus, 3), the last of who knows."""
    portfolio = law.sample(N_ROWS, 1, random_state=seed)
    X = portfolio.observations
    predicted, same = laws_of(checkpoints, X), alike(law, N_ROWS)
    return np.stack(
        [
            costs_by_ratio([*predicted, known], X, TAUS, truth=truth)
            for truth, known in ((law.truth(portfolio), law.predictive(portfolio)), (same, same))
        ]
    )


def lines_of(name, costs):
    """A line for every ratio, from costs (n_draws, n_taus, 2 or 3)."""
    for k, tau in enumerate(TAUS):
        value, half = ratio_of_few(costs[:, k, 0], costs[:, k, 1])
        line = {"truth": name, "tau": tau, "above": 100 * (value - 1), "half_width": 100 * half}
        exact = percent_above(*costs[:, k, [0, -1]].mean(axis=0)) if costs.shape[2] > 2 else np.nan
        yield {**line, "exact": exact}


def print_lines(lines):
    for line in lines:
        exact = "" if np.isnan(line["exact"]) else f"   exact {line['exact']:+6.2f}"
        print(
            f"{line['truth']:44} {line['tau']:.2f}   above {line['above']:+6.2f} +- "
            f"{line['half_width']:.2f}{exact}"
        )


def main():
    parser = make_parser(__doc__.partition("\n")[0], figure=False)
    parser.add_argument("--portfolios", type=int, default=400, help="of the prior")
    parser.add_argument("--draws", type=int, default=10, help="of each law")
    parser.add_argument("--steps", type=int, default=20_000, help="of training the reference")
    parser.add_argument("--reference", type=Path, help="file that keeps the reference")
    options = parser.parse_args()
    torch.set_num_threads(1)
    checkpoint = Checkpoint.load(options.checkpoint)
    checkpoints = [checkpoint, read_reference(checkpoint, options)]
    prior = prior_of_one(checkpoint.card)
    seeds = [options.first_seed + 10**6 + k for k in range(options.portfolios)]
    costs = run_all(lambda seed: costs_on_the_prior(checkpoints, prior, seed), seeds, options.jobs)
    sparse = np.array([(draw_portfolio(prior, seed)[1] == 0).mean() > SPARSE for seed in seeds])
    lines = [
        *lines_of("portfolios of the prior", costs[~sparse]),
        *lines_of(f"the {sparse.sum()} with more than 90 % zeros", costs[sparse]),
    ]
    print(f"{options.portfolios} portfolios of the prior, and {options.draws} of each law, percent")
    print_lines(lines)
    for law in LAWS:
        seeds = range(options.first_seed, options.first_seed + options.draws)
        costs = run_all(lambda s, law=law: costs_on_a_law(checkpoints, law, s), seeds, options.jobs)
        cases = {f"{law}, rows differ": costs[:, 0], f"{law}, rows alike": costs[:, 1]}
        cases[f"{law}, either"] = costs.mean(axis=1)
        found = [line for name, case in cases.items() for line in lines_of(name, case)]
        print_lines(found)
        lines += found
    if options.csv:
        write_csv(options.csv, lines)


if __name__ == "__main__":
    main()
