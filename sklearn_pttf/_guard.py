"""Whether to leave the pretrained network: candidates compared on cross-fitted hindsight cost.

Every row is charged by candidates that were not trained on it, on observations (or later
outcomes) that the decision has not seen.
"""

import copy
import time
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from sklearn_pttf._network import DecisionNetwork, NetworkConfig
from sklearn_pttf._network_use import encode_context, predict_law, single_threaded
from sklearn_pttf._pit import pit_values, smooth_test
from sklearn_pttf._pretrain import PRIORS
from sklearn_pttf._rivals import baseline_laws, baselines_for
from sklearn_pttf.finetune import FEW_ROWS, AutoFinetune, FinetuneData, is_doubted

FOLDS = (2, 10)  # fewest and most
FOLD_ROWS = 4  # fewest in a fold
ROUNDS = (4, 8)  # fewest and most observations of a row that are held out, one by one
EVEN = 0.4  # power that makes p-values of later outcomes those of held-out observations
ROUND_ROWS = 5000  # rows that are charged in all rounds, where it need not be fewer rounds
FEWEST_ROWS = 12  # that can be split into folds, and these into rows to train and to validate on
FEW_TO_LEAVE = 100
ERRORS_OF_DOUBT = 5.0  # standard errors that a p-value of 1 would ask of few rows, 2 at most
LEAST_SIZE = 1e-3  # of a row, as a share of the mean
MOST_ROWS = 20_000  # that are trained on and charged; more would only take longer


class Round(NamedTuple):
    """Evidence, and what decisions on it are charged on."""

    evidence: object  # Portfolio
    charged: np.ndarray  # (n, k), NaN where nothing is charged


def charge_rounds(portfolio, outcomes, rng):
    """Rounds that hold out observations of all rows one by one, or one that charges outcomes.

    Parameters
    ----------
    portfolio : Portfolio

    outcomes : ndarray of shape (n, k) or None
        Later outcomes; then nothing is held out.

    rng : Generator
        Which observations of a row come first.

    Returns
    -------
    list of Round
    """
    if outcomes is not None:
        return [Round(portfolio, outcomes)]
    mask, counts = portfolio.mask, portfolio.counts
    order = np.where(mask, rng.random(mask.shape), np.inf).argsort(axis=1)
    n_rounds = np.clip(ROUND_ROWS // len(portfolio), *ROUNDS)
    return [
        Round(*portfolio.held_out(np.where((counts > 1) & (counts > k), order[:, k], -1)))
        for k in range(min(n_rounds, counts.max()))
    ]


def hindsight_costs(problem, laws, rounds):
    """Mean cost of every row over rounds, of decisions on ``laws``, one a round; (n,)."""
    costs = [
        problem.charge_with_risk(law, round.evidence, round.charged)
        for law, round in zip(laws, rounds, strict=True)
    ]
    costs = np.array(costs)
    charged = ~np.isnan(costs)
    total = np.where(charged, costs, 0.0).sum(axis=0)
    return np.where(charged.any(axis=0), total / np.maximum(charged.sum(axis=0), 1), np.nan)


def network_laws(network, rounds, of_mean=False, portfolios=None):
    """The law of every row, one a round, with the round's evidence as context.

    With ``of_mean`` that of its mean, where the network has one. With ``portfolios``, one a round,
    of their rows instead of the evidence's.
    """
    of_mean = of_mean and network.kind.of_means
    contexts = (encode_context(network, round.evidence) for round in rounds)
    portfolios = portfolios or [round.evidence for round in rounds]
    return [
        predict_law(network, context, portfolio, of_mean)
        for context, portfolio in zip(contexts, portfolios, strict=True)
    ]


def prior_conflict(laws, rounds, rng):
    """p-value of the laws on what they are charged on: small where they are wrong.

    Neyman's smooth test of the probability integral transforms of one outcome a row and round,
    taken as independent. Those of one row are not: they are held out in turn, and what makes one
    high makes the others low. So right laws have p-values around 0.8 where rows have three
    observations or more, and hardly ever below 0.2. On later outcomes their p-values are even.
    """
    random = np.random.RandomState(rng.integers(2**31 - 1))
    pits = []
    for law, round in zip(laws, rounds, strict=True):
        seen = ~np.isnan(round.charged)
        column = np.where(seen, rng.random(seen.shape), -1.0).argmax(axis=1)
        outcome = np.take_along_axis(round.charged, column[:, None], axis=1)
        pits.append(pit_values(law, outcome, random).ravel())
    pit = np.concatenate(pits)
    return smooth_test(pit[~np.isnan(pit)])


def moments_are_cheaper(network, problem, before, rounds):
    """Whether costs fall, by two standard errors, if the network's last layer forgets."""
    network = copy.deepcopy(network)
    network.head.forget()
    after = network_laws(network, rounds, problem.of_means)
    gain = hindsight_costs(problem, before, rounds) - hindsight_costs(problem, after, rounds)
    gain = gain[~np.isnan(gain)]
    return bool(gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)))


def folds_of(rows, share, rng):
    """Random parts of ``rows`` for cross-fitting, each about this share; list of ndarray of int."""
    n_folds = min(round(np.clip(1 / share, *FOLDS)), len(rows) // FOLD_ROWS)
    return np.array_split(rng.permutation(rows), n_folds)


def best_of_others(costs, folds):
    """Costs of the candidate that was cheapest on the other folds, for every row.

    Parameters
    ----------
    costs : ndarray of shape (n_candidates, n)
        Of every candidate and row; NaN where a row is not charged.

    folds : list of ndarray of int

    Returns
    -------
    costs : ndarray of shape (n,)
        NaN outside the folds.

    best : int
        The cheapest over all folds.
    """
    out = np.full(costs.shape[1], np.nan)
    for k, fold in enumerate(folds):
        others = np.concatenate([other for j, other in enumerate(folds) if j != k])
        out[fold] = costs[np.nanmean(costs[:, others], axis=1).argmin(), fold]
    rows = np.concatenate(folds)
    return out, int(np.nanmean(costs[:, rows], axis=1).argmin())


def choose(costs, rows, conflict=1.0):
    """The candidate to use, and the report.

    It leaves the first candidate only for one whose mean cost is lower by more than one standard
    error of the difference. Below 100 rows it takes two; but as costs of so few rows cannot tell
    much, a pretrained law that is in doubt anyway is left for less, five standard errors times the
    p-value. Where it takes more than one, a blend goes before the finetuned network unless that is
    cheaper by one. A baseline always takes two: while an observation is held out rows have one
    fewer than they are decided on, which is kinder to baselines than to networks.

    Parameters
    ----------
    costs : dict of str to ndarray of shape (n,)
        Cross-fitted costs of the candidates; the first is the pretrained network.

    rows : ndarray of int
        Rows that were charged.

    conflict : float, default=1.0
        p-value of the pretrained law; 1 of a strategy that was asked for by name.

    Returns
    -------
    chosen : str

    report : dict of ndarray
        ``candidate``, ``mean_cost``, ``std_error`` (of the mean), ``gain`` over the first,
        ``gain_std_error`` and ``chosen``, in the manner of ``cv_results_``.
    """
    names = list(costs)
    table = np.array([costs[name][rows] for name in names])
    few = len(rows) < FEW_TO_LEAVE
    gains = table[0] - table
    root = np.sqrt(len(rows))
    gain, error = gains.mean(axis=1), gains.std(axis=1, ddof=1) / root
    errors_needed = min(2.0, ERRORS_OF_DOUBT * conflict) if few else 1.0
    needed = np.array([2 if name == "baseline" else errors_needed for name in names])
    eligible = gain > needed * error
    eligible[0] = False
    chosen = int(np.where(eligible, gain, -np.inf).argmax()) if eligible.any() else 0
    if errors_needed > 1 and names[chosen] == "finetuned" and eligible[names.index("blend")]:
        lead = table[names.index("blend")] - table[chosen]
        if lead.mean() <= lead.std(ddof=1) / root:
            chosen = names.index("blend")
    report = {
        "candidate": np.array(names),
        "mean_cost": table.mean(axis=1),
        "std_error": table.std(axis=1, ddof=1) / root,
        "gain": gain,
        "gain_std_error": error,
        "chosen": np.arange(len(names)) == chosen,
    }
    return names[chosen], report


# ------------------------------------------------------------------ candidates


class Finetuning(NamedTuple):
    """What came of finetuning."""

    chosen: str  # "pretrained", "finetuned", "blend" or "baseline"
    report: dict
    network: torch.nn.Module = None  # the mean of the folds' networks, None without training
    baseline: type = None
    n_iter: float = 0.0  # mean over folds of the best epoch
    history: list = ()  # of the epochs of every fold

    def summary(self):
        """One line of text."""
        if "reason" in self.report:
            return f"Not finetuned: {self.report['reason']}."
        gains, before = self.report["gain"], self.report["mean_cost"][0]
        kept = self.chosen == "pretrained"
        told = 1 + gains[1:].argmax() if kept else self.report["chosen"].argmax()
        gain, error = gains[told] / before, self.report["gain_std_error"][told] / before
        compared = (
            f"{abs(gain):.1%} +- {error:.1%} {'dearer' if gain < 0 else 'cheaper'} than pretrained "
            "on rows it was not trained on"
        )
        if kept:
            return f"In use: pretrained; {self.report['candidate'][told]} was {compared}."
        return f"In use: {self.chosen}, {compared}."


def blended(left, right):
    """The law between two: its quantiles are the means of theirs."""
    known = left.means is not None and right.means is not None
    means = (left.means + right.means) / 2 if known else None
    return left.with_quantiles((left.quantiles + right.quantiles) / 2, means)


def averaged(networks):
    """The network whose weights are the means of others', in place of the first."""
    states = [network.state_dict() for network in networks]
    mean = {name: sum(state[name] for state in states) / len(states) for name in states[0]}
    networks[0].load_state_dict(mean)
    return networks[0]


def is_chargeable(portfolio, outcomes):
    """Rows that a decision can be charged on without being seen by it; bool ndarray (n,)."""
    if outcomes is None:
        return portfolio.counts > 1
    return (~np.isnan(outcomes)).any(axis=1)


def _most_useful(portfolio, outcomes, rng):
    """At most 20,000 random rows, those first that can be charged."""
    order = rng.permutation(len(portfolio))
    chargeable = is_chargeable(portfolio, outcomes)[order]
    return np.concatenate([order[chargeable], order[~chargeable]])[:MOST_ROWS]


def not_tried(reason, prior_conflict=np.nan, last=None):
    """Nothing was trained; the network of the last `fit` stays in use, if one is given."""
    chosen = "pretrained" if last is None else "finetuned"
    nothing = dict.fromkeys(
        ("mean_cost", "std_error", "gain", "gain_std_error"), np.array([np.nan])
    )
    report = {
        "candidate": np.array([chosen]),
        **nothing,
        "chosen": np.array([True]),
        "prior_conflict": prior_conflict,
        "reason": reason,
    }
    return Finetuning(chosen, report, last)


def finetune_guarded(
    strategy, checkpoint, start, problem, portfolio, outcomes, seed, device, verbose
):
    """Train on parts of the rows, charge all candidates on the others, and choose.

    Parameters
    ----------
    strategy : FinetuneStrategy or AutoFinetune

    checkpoint : Checkpoint
        The pretrained weights.

    start : Checkpoint
        Where training starts from in every fold: the pretrained weights, or those of the last fit.

    problem : DecisionProblem

    portfolio : Portfolio

    outcomes : ndarray of shape (n, k) or None
        Later outcomes.

    seed : int

    device : str

    verbose : int

    Returns
    -------
    Finetuning
    """
    n_rows = int(is_chargeable(portfolio, outcomes).sum())
    last = None if start is checkpoint else start.build_network(device)
    if n_rows < FEWEST_ROWS:
        return not_tried(f"{n_rows} rows to charge are fewer than {FEWEST_ROWS}", last=last)
    rng = np.random.default_rng(seed)
    problem, portfolio = problem.for_training(portfolio, min(1.0, MOST_ROWS / len(portfolio)))
    if len(portfolio) > MOST_ROWS:
        rows = _most_useful(portfolio, outcomes, rng)
        portfolio = portfolio.take(rows)
        outcomes = None if outcomes is None else outcomes[rows]
    pretrained = checkpoint.build_network(device, torch.float64)
    rounds = charge_rounds(portfolio, outcomes, rng)
    before = network_laws(pretrained, rounds)
    conflict = prior_conflict(before, rounds, rng)
    if problem.of_means:
        before = network_laws(pretrained, rounds, of_mean=True)
    doubt = 1.0  # a strategy that was asked for has to show a clear gain
    if isinstance(strategy, AutoFinetune):
        doubt = conflict if outcomes is None else conflict**EVEN
        by_moments = start is checkpoint and is_doubted(doubt, n_rows)
        by_moments = by_moments and moments_are_cheaper(pretrained, problem, before, rounds)
        strategy = strategy.choose(n_rows, doubt, by_moments)
        if strategy is None:
            return not_tried(
                f"{n_rows} rows to charge are fewer than {FEW_ROWS}, and the pretrained law fits "
                f"them (p = {conflict:.2f})",
                prior_conflict=conflict,
                last=last,
            )
    data = finetune_data(pretrained.config, problem, portfolio, outcomes, device)
    if not np.nanmax(data.charged) > 0 or not np.isfinite(data.worth).all():
        reason = "no decision is expected to cost anything"
        return not_tried(reason, prior_conflict=conflict, last=last)
    rows = data.usable()
    folds = folds_of(rows, strategy.validation_fraction, rng)
    trained = _train_folds(strategy, start, problem, data, folds, seed, device, verbose)
    after = _cross_fitted_laws(problem, trained, before, rounds, folds)
    laws = {
        "pretrained": before,
        "finetuned": after,
        "blend": [blended(*pair) for pair in zip(before, after, strict=True)],
    }
    costs = {name: hindsight_costs(problem, each, rounds) for name, each in laws.items()}
    baseline = None
    if strategy.baselines:
        kinds = baselines_for(portfolio)
        table = [
            hindsight_costs(problem, baseline_laws(kind, problem, rounds), rounds) for kind in kinds
        ]
        costs["baseline"], best = best_of_others(np.array(table), folds)
        baseline = kinds[best]
    chosen, report = choose(costs, rows, doubt)
    return Finetuning(
        chosen,
        {**report, "prior_conflict": conflict},
        averaged([fold.network for fold in trained]),
        baseline,
        float(np.mean([fold.n_iter for fold in trained])),
        [{"fold": k, **row} for k, fold in enumerate(trained) for row in fold.history],
    )


def _train_folds(strategy, start, problem, data, folds, seed, device, verbose):
    """Training without each of the folds; list of `Finetuned` with networks in float64."""
    prior = _prior_of(start) if strategy.replay else None
    trained, ends = [], strategy.max_seconds and time.monotonic() + strategy.max_seconds
    for k in tqdm(range(len(folds)), desc="finetuning", unit="fold", disable=not verbose):
        if ends is not None:  # what is left is for all folds that are left
            left = max(ends - time.monotonic(), 1e-9) / (len(folds) - k)
            strategy = copy.copy(strategy).set_params(max_seconds=left)
        others = np.concatenate([fold for j, fold in enumerate(folds) if j != k])
        network = start.build_network(device)
        with single_threaded():
            fold = strategy.train(network, problem, data, others, folds[k], seed + k, device, prior)
        of_half = tuple(each.double() for each in fold.for_half)
        trained.append(fold._replace(network=fold.network.double(), for_half=of_half))
    return trained


def _cross_fitted_laws(problem, trained, before, rounds, folds):
    """Laws of every row by a network that neither trained on it nor was chosen by it.

    Two halves of a fold each choose the epoch for the other. A row outside the folds keeps the law
    of ``before``.
    """
    quantiles = [law.quantiles.copy() for law in before]
    for fold, rows in zip(trained, folds, strict=True):
        for network, part in zip(fold.for_half, (rows[::2], rows[1::2]), strict=True):
            evidence = [round.evidence.take(part) for round in rounds]
            laws = network_laws(network, rounds, problem.of_means, evidence)
            for own, law in zip(quantiles, laws, strict=True):
                own[part] = law.quantiles
    return [law.with_quantiles(own) for law, own in zip(before, quantiles, strict=True)]


def _prior_of(checkpoint):
    """The prior that weights were pretrained on, None if their card does not say."""
    description = checkpoint.card.get("prior")
    if description is None:
        return None
    outcomes = NetworkConfig(**checkpoint.card["network"]).outcomes
    return PRIORS[outcomes].from_description(description)


def finetune_data(config, problem, portfolio, outcomes, device):
    """Rows with how uncertain they are, and what that costs; `FinetuneData`.

    Both are taken from moments, not from the pretrained network: where its prior is wrong its
    uncertainties are too, and rows weighted by them cost finetuning a part of what it can gain.
    """
    network = DecisionNetwork.of_moments(config).to(device=device, dtype=torch.float64)
    law = predict_law(network, encode_context(network, portfolio), portfolio)
    sizes = law.mean_distance()
    sizes = np.maximum(sizes, LEAST_SIZE * sizes.mean())
    expected = problem.stakes(law, portfolio)
    expected = np.maximum(expected, LEAST_SIZE * expected.mean())
    worth = np.full(len(sizes), np.nan)
    np.divide(expected, sizes, out=worth, where=sizes * expected > 0)
    levels = problem.own_levels(law, portfolio)
    shift = np.nanmean(portfolio.observations) if config.outcomes == "real" else 0.0
    prices = posted = None
    if portfolio.prices is not None:  # a row that tells of no price is asked at the usual one
        posted = portfolio.posted_prices()
        posted = np.where(np.isnan(posted), np.exp(np.nanmean(np.log(posted))), posted)
        prices = portfolio.told_prices()
    return FinetuneData(
        portfolio.observations - shift,
        None if outcomes is None else outcomes - shift,
        levels,
        sizes,
        worth,
        portfolio.integer,
        portfolio.errors,
        prices,
        posted,
    )
