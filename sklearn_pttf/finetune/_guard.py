"""Whether to leave the pretrained network: candidates compared on cross-fitted hindsight cost.

Every row is charged by candidates that were not trained on it, on observations (or later
outcomes) that the decision has not seen; where rows share the shocks of a period, also by
candidates that were not trained on that period.
"""

import copy
import time
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from sklearn_pttf._kinds.registry import KINDS, kind_of
from sklearn_pttf._laws.pit import pit_values, smooth_test
from sklearn_pttf._network.network import DecisionNetwork, NetworkConfig
from sklearn_pttf._network.reading import encode_context, predict_law, single_threaded
from sklearn_pttf._tables.periods import (
    SHARED,
    cells_in,
    later_are_alike,
    newest,
    shared_p_value,
    students_errors,
    two_way_error,
    well_covered,
)
from sklearn_pttf.finetune import FEW_ROWS, AutoFinetune, FinetuneData, is_doubted
from sklearn_pttf.finetune._rivals import baseline_laws

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
MOST_CELLS = 32  # of a row, the newest, that are
FEWEST_PERIODS = 4  # that decide anything where rows share shocks: fewer may be alike by chance
LATER = "later outcomes"  # in reports and cards
DRIFTS = "observations drift, and no later periods say that it pays"
MORE_ROUNDS = 3 / 2  # where a round charges a part of the rows only


class Round(NamedTuple):
    """Evidence, and what decisions on it are charged on."""

    evidence: object  # Portfolio
    charged: np.ndarray  # (n, k), NaN where nothing is charged
    periods: np.ndarray = None  # (n, k) in which that was
    cells: np.ndarray = None  # (n,), columns that are held out; None: none are

    def only(self, cells):
        """The same evidence, where a part of the cells ``(n, k)`` is charged."""
        return self._replace(charged=np.where(cells, self.charged, np.nan))


def charge_rounds(portfolio, outcomes, rng, periods=None, shared=False):
    """Rounds that hold out observations of all rows one by one, or one that charges outcomes.

    Parameters
    ----------
    portfolio : Portfolio

    outcomes : ndarray of shape (n, k) or None
        Later outcomes; then nothing is held out.

    rng : Generator
        Which observations of a row come first.

    periods : ndarray of int of shape (n, m), default=None
        Of the observations. None: their columns.

    shared : bool, default=False
        Whether rows share shocks of periods: then a round holds out one period of all rows that
        have it, and something else of the others.

    Returns
    -------
    list of Round
    """
    if outcomes is not None:
        columns = np.arange(outcomes.shape[1])
        return [Round(portfolio, outcomes, np.broadcast_to(columns, outcomes.shape))]
    mask, counts = portfolio.mask, portfolio.counts
    if periods is None:
        periods = np.broadcast_to(np.arange(mask.shape[1]), mask.shape)
    n_rounds = np.clip(ROUND_ROWS // len(portfolio), *ROUNDS)
    if shared:
        chosen = rng.permutation(well_covered(mask, periods))[: round(MORE_ROUNDS * n_rounds)]
        cells = cells_in(mask, periods, chosen, rng)
    else:
        order = np.where(mask, rng.random(mask.shape), np.inf).argsort(axis=1)
        order = order[:, : min(n_rounds, counts.max())]
        cells = np.where(counts[:, None] > np.arange(order.shape[1]), order, -1)
    cells = np.where(counts[:, None] > 1, cells, -1)
    found = []
    for each in cells.T:
        columns = np.take_along_axis(periods, each[:, None], axis=1)
        found.append(Round(*portfolio.held_out(each), columns, columns[:, 0]))
    return found


def rounds_of_the_window(portfolio, rng, periods):
    """Rounds that hold out periods before later ones, which are charged beside them.

    A few later periods that rows share may all be high, as days of one weekend are. So a candidate
    has to be cheaper in those before, too.
    """
    rounds = charge_rounds(portfolio, None, rng, periods, shared=True)
    return [each._replace(periods=-1 - each.periods) for each in rounds]


def cell_costs(problem, laws, rounds):
    """Cost of every outcome that is charged, of decisions on ``laws``, one a round; (n, k)."""
    costs = [
        problem.charge_each(law, round.evidence, round.charged)
        for law, round in zip(laws, rounds, strict=True)
    ]
    return np.where(np.isnan(charged_of(rounds)), np.nan, np.hstack(costs))


def charged_of(rounds):
    """Outcomes that are charged in all rounds; (n, k)."""
    return np.hstack([round.charged for round in rounds])


def periods_of(rounds):
    """Periods of the outcomes that are charged in all rounds; (n, k)."""
    return np.hstack([round.periods for round in rounds])


def row_means(costs):
    """Mean cost of every row, of those that there are ``(..., n, k)``; (..., n)."""
    seen = ~np.isnan(costs)
    n_seen = seen.sum(axis=-1)
    total = np.where(seen, costs, 0.0).sum(axis=-1)
    return np.where(n_seen > 0, total / np.maximum(n_seen, 1), np.nan)


def hindsight_costs(problem, laws, rounds):
    """Mean cost of every row over rounds, of decisions on ``laws``, one a round; (n,)."""
    return row_means(cell_costs(problem, laws, rounds))


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


def agreement_of(network, portfolio):
    """What makes the laws of a network agree with their table; None of most kinds."""
    context = encode_context(network, portfolio)
    return network.kind.agreement(lambda some: predict_law(network, context, some), portfolio)


def agreed(agreement, laws, rounds):
    """Laws, one a round, as decisions are made on them."""
    if agreement is None:
        return laws
    return agreement.laws(laws, [round.evidence for round in rounds])


def prior_conflict(laws, rounds, rng, shared=False):
    """p-value of the laws on what they are charged on: small where they are wrong.

    Neyman's smooth test of the probability integral transforms of one outcome a row and round,
    taken as independent, unless rows share shocks of periods. Those of one row are not: they are
    held out in turn, and what makes one high makes the others low. So right laws have p-values
    around 0.8 where rows have three observations or more, and hardly ever below 0.2. On later
    outcomes their p-values are even.
    """
    random = np.random.RandomState(rng.integers(2**31 - 1))
    pits, periods = [], []
    for law, round in zip(laws, rounds, strict=True):
        seen = ~np.isnan(round.charged)
        column = np.where(seen, rng.random(seen.shape), -1.0).argmax(axis=1)[:, None]
        outcome = np.take_along_axis(round.charged, column, axis=1)
        pits.append(pit_values(law, outcome, random).ravel())
        periods.append(np.take_along_axis(round.periods, column, axis=1).ravel())
    pit, periods = np.concatenate(pits), np.concatenate(periods)
    seen = ~np.isnan(pit)
    return smooth_test(pit[seen], periods=periods[seen] if shared else None)


def moments_are_cheaper(network, problem, before, rounds, shared=False):
    """Whether costs fall, by two standard errors, if the network's last layer forgets."""
    network = copy.deepcopy(network)
    network.head.forget()
    after = network_laws(network, rounds, problem.of_means)
    gain = cell_costs(problem, before, rounds) - cell_costs(problem, after, rounds)
    error = two_way_error(gain, periods_of(rounds))
    n_errors = students_errors(2, n_periods(rounds)) if shared else 2
    return bool(np.nanmean(row_means(gain)) > n_errors * error)


def n_periods(rounds):
    """Number of periods in which something is charged."""
    return len(np.unique(periods_of(rounds)[~np.isnan(charged_of(rounds))]))


def folds_of(rows, share, rng):
    """Random parts of ``rows`` for cross-fitting, each about this share; list of ndarray of int."""
    n_folds = min(round(np.clip(1 / share, *FOLDS)), len(rows) // FOLD_ROWS)
    return np.array_split(rng.permutation(rows), n_folds)


def best_of_others(costs, folds):
    """Costs of the candidate that was cheapest on the other folds, for every row.

    Parameters
    ----------
    costs : ndarray of shape (n_candidates, n, k)
        Of every candidate and row; NaN where nothing is charged.

    folds : list of ndarray of int

    Returns
    -------
    costs : ndarray of shape (n, k)
        NaN outside the folds.

    best : int
        The cheapest over all folds.
    """
    means, out = row_means(costs), np.full(costs.shape[1:], np.nan)
    for k, fold in enumerate(folds):
        others = np.concatenate([other for j, other in enumerate(folds) if j != k])
        out[fold] = costs[np.nanmean(means[:, others], axis=1).argmin(), fold]
    rows = np.concatenate(folds)
    return out, int(np.nanmean(means[:, rows], axis=1).argmin())


def choose(costs, rows, conflict=1.0, periods=None, shared=False):
    """The candidate to use, and the report.

    It leaves the first candidate only for one whose mean cost is lower by more than one standard
    error of the difference, over rows and periods. Below 100 rows it takes two; but as costs of so
    few rows cannot tell much, a pretrained law that is in doubt anyway is left for less, five
    standard errors times the p-value. Where it takes more than one, a blend goes before the
    finetuned network unless that is cheaper by one. A baseline always takes two: while an
    observation is held out rows have one fewer than they are decided on, which is kinder to
    baselines than to networks. Where rows share shocks of periods every candidate takes two, or as
    many more as Student's law asks of so few periods, and of fewer than four nothing is enough.

    Parameters
    ----------
    costs : dict of str to ndarray of shape (n, k)
        Cross-fitted costs of the candidates; the first is the pretrained network. NaN = not
        charged.

    rows : ndarray of int
        Rows that were charged.

    conflict : float, default=1.0
        p-value of the pretrained law; 1 of a strategy that was asked for by name.

    periods : ndarray of int of shape (n, k), default=None
        Of what was charged. None: rows are independent.

    shared : bool, default=False
        Whether rows share shocks of periods.

    Returns
    -------
    chosen : str

    report : dict of ndarray
        ``candidate``, ``mean_cost``, ``std_error`` (of the mean), ``gain`` over the first,
        ``gain_std_error`` and ``chosen``, in the manner of ``cv_results_``; ``n_periods`` is a
        number.
    """
    names = list(costs)
    table = np.array([costs[name][rows] for name in names])
    if periods is not None:
        periods = periods[rows]
    charged = None if periods is None else len(np.unique(periods[~np.isnan(table[0])]))

    def mean_and_error(values):
        return row_means(values).mean(), two_way_error(values, periods)

    def errors(number):
        if shared and charged < FEWEST_PERIODS:
            return np.inf
        return students_errors(number, charged) if shared else number

    mean, std_error = np.transpose([mean_and_error(each) for each in table])
    gain, error = np.transpose([mean_and_error(table[0] - each) for each in table])
    least = min(2.0, ERRORS_OF_DOUBT * conflict) if len(rows) < FEW_TO_LEAVE else 1.0
    least = 2.0 if shared else least
    needed = np.array([errors(2 if name == "baseline" else least) for name in names])
    with np.errstate(invalid="ignore"):  # of one period no error is known
        eligible = gain > needed * error
    eligible[0] = False
    chosen = int(np.where(eligible, gain, -np.inf).argmax()) if eligible.any() else 0
    blend = names.index("blend") if "blend" in names else 0
    if least > 1 and names[chosen] == "finetuned" and eligible[blend]:
        lead, its_error = mean_and_error(table[blend] - table[chosen])
        if lead <= errors(1) * its_error:
            chosen = blend
    report = {
        "candidate": np.array(names),
        "mean_cost": mean,
        "std_error": std_error,
        "gain": gain,
        "gain_std_error": error,
        "chosen": np.arange(len(names)) == chosen,
        "n_periods": charged,
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


def enough_periods(portfolio, outcomes):
    """Whether later outcomes are of enough periods to decide anything."""
    observed = (~np.isnan(outcomes)).any(axis=0)
    if 1 < observed.sum() < FEWEST_PERIODS:
        return _shared_p_value(portfolio, outcomes[:, observed]) >= SHARED
    return observed.sum() >= FEWEST_PERIODS


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
    strategy, checkpoint, start, problem, portfolio, outcomes, seed, device, verbose, drifts=False
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
        Later outcomes, of two periods at least.

    seed : int

    device : str

    verbose : int

    drifts : bool, default=False
        Whether observations drift, so that those held out say little of later ones.

    Returns
    -------
    Finetuning
    """
    n_rows = int(is_chargeable(portfolio, outcomes).sum())
    last = None if start is checkpoint else start.build_network(device)
    if n_rows < FEWEST_ROWS:
        why = f"{n_rows} rows to charge are fewer than {FEWEST_ROWS}"
        if outcomes is None and n_rows == 0:
            why = "every row has one observation at most, of which none can be held out"
        return not_tried(why, last=last)
    if drifts and outcomes is None:
        return not_tried(DRIFTS, last=last)
    rng = np.random.default_rng(seed)
    problem, portfolio = problem.for_training(portfolio, min(1.0, MOST_ROWS / len(portfolio)))
    if len(portfolio) > MOST_ROWS:
        rows = _most_useful(portfolio, outcomes, rng)
        portfolio = portfolio.take(rows)
        outcomes = None if outcomes is None else outcomes[rows]
    if outcomes is not None:
        outcomes = outcomes[:, -MOST_CELLS:]
    shared_p = _shared_p_value(portfolio, outcomes)
    shared = shared_p < SHARED
    whole = portfolio
    portfolio, periods = newest(whole, MOST_CELLS)
    rounds = charge_rounds(portfolio, outcomes, rng, periods, shared)
    charged_on = "held-out observations" if outcomes is None else LATER
    _tell(verbose, f"charging the pretrained weights in {n_periods(rounds)} periods")
    pretrained = checkpoint.build_network(device, torch.float64)
    before = network_laws(pretrained, rounds)
    agreement = agreement_of(pretrained, portfolio)
    conflict = prior_conflict(agreed(agreement, before, rounds), rounds, rng, shared)
    if problem.of_means:
        before = network_laws(pretrained, rounds, of_mean=True)
    doubt = 1.0  # a strategy that was asked for has to show a clear gain
    if isinstance(strategy, AutoFinetune):
        doubt = conflict if outcomes is None else conflict**EVEN
        by_moments = start is checkpoint and is_doubted(doubt, n_rows)
        by_moments = by_moments and moments_are_cheaper(pretrained, problem, before, rounds, shared)
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
    folds = folds_of(data.usable(), strategy.validation_fraction, rng)
    parts = [data] * len(folds)
    if shared:
        data = data._replace(periods=periods if outcomes is None else rounds[0].periods)
        groups = _groups_of_periods(rounds, len(folds))
        parts = [data.without(group) for group in groups]
        rounds = _of_own_group(rounds, folds, groups)
        recent = whole.observations[:, -MOST_CELLS:]
        if outcomes is not None and later_are_alike(recent, outcomes):
            window = rounds_of_the_window(portfolio, rng, periods)
            rounds = rounds + window
            before = before + network_laws(pretrained, window, problem.of_means)
            charged_on = f"{LATER} and held-out periods"
    _tell(verbose, f"training on {len(portfolio):,} rows, without each of {len(folds)} folds")
    trained = _train_folds(strategy, start, problem, parts, folds, seed, device, verbose)
    _tell(verbose, "charging the finetuned weights")
    costs = _costs_of_networks(problem, trained, before, rounds, folds, agreement, outcomes)
    baseline = None
    if strategy.baselines:
        kinds, table = kind_of(portfolio).baselines, []
        for kind in kinds:
            _tell(verbose, f"charging the baseline {kind.__name__}")
            table.append(cell_costs(problem, baseline_laws(kind, problem, rounds), rounds))
        costs["baseline"], best = best_of_others(np.array(table), folds)
        baseline = kinds[best]
    _tell(verbose, "choosing")
    chosen, report = _choose(costs, rounds, folds, doubt, shared)
    if chosen != "pretrained" and whole is not portfolio:
        _tell(verbose, f"charging {chosen} on all observations")
        rounds = _on_all_observations(whole, _one_for_each(rounds, folds))
        before = network_laws(pretrained, rounds, problem.of_means)
        if chosen == "baseline":
            laws = baseline_laws(baseline, problem, rounds)
            own = agreed(agreement, before, rounds)
            costs = {"pretrained": cell_costs(problem, own, rounds)}
            costs["baseline"] = cell_costs(problem, laws, rounds)
        else:
            costs = _costs_of_networks(problem, trained, before, rounds, folds, agreement, outcomes)
            costs = {name: costs[name] for name in ("pretrained", chosen)}
        chosen, report = _choose(costs, rounds, folds, doubt, shared)
    return Finetuning(
        chosen,
        {
            **report,
            "charged_on": charged_on,
            "shared_p_value": shared_p,
            "prior_conflict": conflict,
        },
        averaged([fold.network for fold in trained]),
        baseline,
        float(np.mean([fold.n_iter for fold in trained])),
        [{"fold": k, **row} for k, fold in enumerate(trained) for row in fold.history],
    )


def _choose(costs, rounds, folds, doubt, shared):
    """`choose` on the rows of all folds that were charged."""
    rows = np.sort(np.concatenate(folds))
    rows = rows[~np.isnan(charged_of(rounds)[rows]).all(axis=1)]
    return choose(costs, rows, doubt, periods_of(rounds), shared)


def _tell(verbose, what):
    """A line of progress."""
    if verbose:
        print(f"Finetuning: {what}.", flush=True)


def _shared_p_value(portfolio, outcomes):
    """p-value of rows that share no shocks in the newest periods; `shared_p_value`."""
    known = portfolio.observations[:, -MOST_CELLS:]
    return shared_p_value(known if outcomes is None else np.hstack([known, outcomes]))


def _groups_of_periods(rounds, n_folds):
    """Periods that each of the folds is charged in: one after the other, again where too few."""
    found = np.unique(periods_of(rounds)[~np.isnan(charged_of(rounds))])
    groups = np.array_split(found, min(n_folds, len(found)))
    return [groups[k % len(groups)] for k in range(n_folds)]


def _of_own_group(rounds, folds, groups):
    """Rounds that charge each fold in its own group of periods only."""
    found = []
    for round in rounds:
        cells = np.zeros(round.charged.shape, dtype=bool)
        for fold, group in zip(folds, groups, strict=True):
            cells[fold] = np.isin(round.periods[fold], group)
        found.append(round.only(cells))
    return found


def _one_for_each(rounds, folds):
    """One round for each fold, of those that charge most of its rows, and nothing else."""
    cells = [np.zeros(round.charged.shape, dtype=bool) for round in rounds]
    for k, fold in enumerate(folds):
        n_charged = np.array([(~np.isnan(round.charged[fold])).sum() for round in rounds])
        most = np.flatnonzero(n_charged == n_charged.max())
        cells[most[k % len(most)]][fold] = True
    rounds = [round.only(some) for round, some in zip(rounds, cells, strict=True)]
    return [round for round in rounds if not np.isnan(round.charged).all()]


def _on_all_observations(portfolio, rounds):
    """Rounds that charge the same, on evidence that is all there is, not the newest only."""
    found = []
    for round in rounds:
        evidence = portfolio
        if round.cells is not None:
            some = np.where(np.isnan(round.charged[:, 0]), -1, round.cells)
            evidence, _ = portfolio.held_out(some)
        found.append(round._replace(evidence=evidence))
    return found


def _train_folds(strategy, start, problem, parts, folds, seed, device, verbose):
    """Training without each of the folds, on its part of the data.

    List of `Finetuned` with networks in float64.
    """
    prior = _prior_of(start) if strategy.replay else None
    trained, ends = [], strategy.max_seconds and time.monotonic() + strategy.max_seconds
    progress = tqdm(parts, desc="finetuning", unit="fold", disable=not verbose)
    for k, data in enumerate(progress):
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


def _costs_of_networks(problem, trained, before, rounds, folds, agreement, outcomes):
    """Cross-fitted costs of the pretrained and finetuned networks and their blend; dict.

    What later outcomes taught need not agree with the observations before them.
    """
    after = _cross_fitted_laws(problem, trained, before, rounds, folds)
    between = [blended(*pair) for pair in zip(before, after, strict=True)]
    laws = {"pretrained": agreed(agreement, before, rounds), "finetuned": after, "blend": between}
    if outcomes is None:
        for name in ("finetuned", "blend"):
            laws[name] = agreed(agreement, laws[name], rounds)
    return {name: cell_costs(problem, each, rounds) for name, each in laws.items()}


def _cross_fitted_laws(problem, trained, before, rounds, folds):
    """Laws of every row by a network that neither trained on it nor was chosen by it.

    Two halves of a fold each choose the epoch for the other. A row outside the folds keeps the law
    of ``before``, and so does one in a round that charges nothing of its half.
    """
    quantiles = [law.quantiles.copy() for law in before]
    for fold, rows in zip(trained, folds, strict=True):
        for network, part in zip(fold.for_half, (rows[::2], rows[1::2]), strict=True):
            used = [k for k, each in enumerate(rounds) if not np.isnan(each.charged[part]).all()]
            some = [rounds[k] for k in used]
            evidence = [round.evidence.take(part) for round in some]
            laws = network_laws(network, some, problem.of_means, evidence)
            for k, law in zip(used, laws, strict=True):
                quantiles[k][part] = law.quantiles
    return [law.with_quantiles(own) for law, own in zip(before, quantiles, strict=True)]


def _prior_of(checkpoint):
    """The prior that weights were pretrained on, None if their card does not say."""
    description = checkpoint.card.get("prior")
    if description is None:
        return None
    kind = KINDS[NetworkConfig(**checkpoint.card["network"]).outcomes]
    return kind.prior.from_description(description)


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
    shift = np.nanmean(portfolio.observations) if network.kind.any_sign else 0.0
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
