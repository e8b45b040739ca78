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

from sklearn_pttf._kinds.registry import kind_of
from sklearn_pttf._network.checkpoint import Checkpoint
from sklearn_pttf._network.table import blended
from sklearn_pttf._series.conditions import Look
from sklearn_pttf._tables.periods import SHARED, later_are_alike, newest, shared_p_value
from sklearn_pttf._tables.portfolio import Portfolio
from sklearn_pttf._utils.torch_state import single_threaded
from sklearn_pttf.finetune._auto import FEW_ROWS, AutoFinetune, is_doubted
from sklearn_pttf.finetune._base import FinetuneStrategy
from sklearn_pttf.finetune._candidates import (
    agreed,
    agreement_of,
    averaged,
    cross_fitted_laws,
    moments_are_cheaper,
    network_laws,
    prior_conflict,
)
from sklearn_pttf.finetune._choice import (
    FEWEST_PERIODS,
    Finetuning,
    best_of_others,
    choose,
    not_tried,
)
from sklearn_pttf.finetune._data import finetune_data
from sklearn_pttf.finetune._rivals import baseline_laws
from sklearn_pttf.finetune._rounds import (
    cell_costs,
    charge_rounds,
    charged_of,
    folds_of,
    groups_of_periods,
    is_chargeable,
    n_periods,
    of_own_group,
    on_all_observations,
    one_for_each,
    periods_of,
    rounds_of_the_window,
)
from sklearn_pttf.finetune._watch import Watch
from sklearn_pttf.problems import DecisionProblem

EVEN = 0.4  # power that makes p-values of later outcomes those of held-out observations
FEWEST_ROWS = 12  # that can be split into folds, and these into rows to train and to validate on
MOST_ROWS = 20_000  # that are trained on and charged; more would only take longer
MOST_CELLS = 32  # of a row, the newest, that are
LATER = "later outcomes"  # in reports and cards
DRIFTS = "observations drift, and no later periods say that it pays"


class Task(NamedTuple):
    """What to finetune, on what."""

    strategy: FinetuneStrategy
    checkpoint: Checkpoint  # the pretrained weights
    start: Checkpoint  # where every fold starts from: the pretrained weights, or the last fit's
    problem: DecisionProblem
    portfolio: Portfolio
    outcomes: np.ndarray | None  # (n, k), later ones, of two periods at least
    seed: int
    device: str
    verbose: int = 0
    drifts: bool = False  # whether observations do, so that those held out say little of later ones
    look: Look | None = None  # what of a table in the order of time is made use of
    plain: Checkpoint | None = None  # the pretrained weights for a table without an order

    def tell(self, what):
        """A line of progress."""
        if self.verbose:
            print(f"Finetuning: {what}.", flush=True)


class _Charging(NamedTuple):
    """What candidates are charged on, and what the pretrained network says of it."""

    network: torch.nn.Module  # the pretrained one
    portfolio: Portfolio  # the newest observations of all rows
    periods: np.ndarray  # of these
    rounds: list
    on: str  # what is charged, in words
    before: list  # the pretrained laws, one a round
    agreement: object  # what makes pretrained laws agree with their table, or None
    conflict: float  # p-value of the pretrained laws
    doubt: float  # what of that counts
    shared_p: float  # p-value of rows that share no shocks of periods
    folds: list = ()  # of rows

    @property
    def shared(self):
        return self.shared_p < SHARED


def finetune_guarded(task):
    """Train on parts of the rows, charge all candidates on the others, and choose.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Finetuning
    """
    n_rows = int(is_chargeable(task.portfolio, task.outcomes).sum())
    last = None if task.start is task.checkpoint else task.start.build_network(task.device)
    reason = _reason_not_to_try(task, n_rows)
    if reason is not None:
        return not_tried(reason, last=last)
    rng = np.random.default_rng(task.seed)
    task = _of_most_useful_rows(task, rng)
    charging = _pretrained_charged(task, rng)
    task = task._replace(strategy=_strategy(task, charging, n_rows))
    if task.strategy is None:
        reason = (
            f"{n_rows} rows to charge are fewer than {FEW_ROWS}, and the pretrained law fits them "
            f"(p = {charging.conflict:.2f})"
        )
        return not_tried(reason, charging.conflict, last)
    data = finetune_data(
        charging.network.config, task.problem, charging.portfolio, task.outcomes, task.device
    )
    if not np.nanmax(data.charged) > 0 or not np.isfinite(data.worth).all():
        return not_tried("no decision is expected to cost anything", charging.conflict, last)
    folds = folds_of(data.usable(), task.strategy.validation_fraction, rng)
    charging = charging._replace(folds=folds)
    parts = [data] * len(folds)
    if charging.shared:
        charging, parts = _by_period(task, charging, data, rng)
    task.tell(f"training on {len(data.sizes):,} rows, without each of {len(folds)} folds")
    trained = train_folds(task, parts, folds)
    chosen, report, baseline = _chosen(task, charging, trained)
    return Finetuning(
        chosen,
        {
            **report,
            "charged_on": charging.on,
            "shared_p_value": charging.shared_p,
            "prior_conflict": charging.conflict,
        },
        averaged([fold.network for fold in trained]),
        baseline,
        float(np.mean([fold.n_iter for fold in trained])),
        [{"fold": k, **row} for k, fold in enumerate(trained) for row in fold.history],
    )


# ------------------------------------------------------------------ before training


def _reason_not_to_try(task, n_rows):
    """Why nothing is looked at, of so many rows that can be charged; None if something is."""
    if n_rows == 0 and task.outcomes is None:
        return "every row has one observation at most, of which none can be held out"
    if n_rows < FEWEST_ROWS:
        return f"{n_rows} rows to charge are fewer than {FEWEST_ROWS}"
    if task.drifts and task.outcomes is None:
        return DRIFTS
    return None


def _of_most_useful_rows(task, rng):
    """The task on at most 20,000 random rows, and on the newest later outcomes.

    Rows that can be charged come first.
    """
    share = min(1.0, MOST_ROWS / len(task.portfolio))
    problem, portfolio = task.problem.for_training(task.portfolio, share)
    outcomes = task.outcomes
    if len(portfolio) > MOST_ROWS:
        order = rng.permutation(len(portfolio))
        chargeable = is_chargeable(portfolio, outcomes)[order]
        rows = np.concatenate([order[chargeable], order[~chargeable]])[:MOST_ROWS]
        portfolio = portfolio.take(rows)
        outcomes = None if outcomes is None else outcomes[rows]
    if outcomes is not None:
        outcomes = outcomes[:, -MOST_CELLS:]
    return task._replace(problem=problem, portfolio=portfolio, outcomes=outcomes)


def _pretrained_charged(task, rng):
    """The rounds, and the pretrained laws in them; `_Charging`."""
    shared_p = _shared_p_value(task.portfolio, task.outcomes)
    shared = shared_p < SHARED
    portfolio, periods = newest(task.portfolio, MOST_CELLS)
    rounds = charge_rounds(portfolio, task.outcomes, rng, periods, shared)
    task.tell(f"charging the pretrained weights in {n_periods(rounds)} periods")
    network = task.checkpoint.build_network(task.device, torch.float64)
    before = network_laws(network, rounds)
    agreement = agreement_of(network, portfolio)
    conflict = prior_conflict(agreed(agreement, before, rounds), rounds, rng, shared)
    doubt = 1.0  # a strategy that was asked for has to show a clear gain
    if isinstance(task.strategy, AutoFinetune):
        doubt = conflict if task.outcomes is None else conflict**EVEN
    if task.problem.of_means:
        before = network_laws(network, rounds, of_mean=True)
    on = "held-out observations" if task.outcomes is None else LATER
    return _Charging(
        network,
        portfolio,
        periods,
        rounds,
        on,
        before,
        agreement,
        conflict,
        doubt,
        shared_p,
    )


def _strategy(task, charging, n_rows):
    """The strategy to train with, None for none."""
    if not isinstance(task.strategy, AutoFinetune):
        return task.strategy
    by_moments = task.start is task.checkpoint and is_doubted(charging.doubt, n_rows)
    by_moments = by_moments and moments_are_cheaper(
        charging.network, task.problem, charging.before, charging.rounds, charging.shared
    )
    return task.strategy.choose(n_rows, charging.doubt, by_moments)


def _by_period(task, charging, data, rng):
    """What is charged, and the data of every fold, where no fold trains on its own periods."""
    rounds, folds = charging.rounds, charging.folds
    periods = charging.periods if task.outcomes is None else rounds[0].periods
    data = data._replace(periods=periods)
    groups = groups_of_periods(rounds, len(folds))
    parts = [data.without(group) for group in groups]
    charging = charging._replace(rounds=of_own_group(rounds, folds, groups))
    recent = task.portfolio.observations[:, -MOST_CELLS:]
    if task.outcomes is None or not later_are_alike(recent, task.outcomes):
        return charging, parts
    window = rounds_of_the_window(charging.portfolio, rng, charging.periods)
    before = network_laws(charging.network, window, task.problem.of_means)
    charging = charging._replace(
        rounds=charging.rounds + window,
        before=charging.before + before,
        on=f"{LATER} and held-out periods",
    )
    return charging, parts


def enough_periods(portfolio, outcomes):
    """Whether later outcomes are of enough periods to decide anything."""
    observed = (~np.isnan(outcomes)).any(axis=0)
    if 1 < observed.sum() < FEWEST_PERIODS:
        return _shared_p_value(portfolio, outcomes[:, observed]) >= SHARED
    return observed.sum() >= FEWEST_PERIODS


def _shared_p_value(portfolio, outcomes):
    """p-value of rows that share no shocks in the newest periods; `shared_p_value`."""
    known = portfolio.observations[:, -MOST_CELLS:]
    return shared_p_value(known if outcomes is None else np.hstack([known, outcomes]))


# ------------------------------------------------------------------ training


def train_folds(task, parts, folds):
    """Training without each of the folds, on its part of the data.

    List of `Finetuned` with networks in float64.
    """
    strategy, device = task.strategy, task.device
    prior = _prior_of(task.start) if strategy.replay else None
    trained, ends = [], strategy.max_seconds and time.monotonic() + strategy.max_seconds
    watch = Watch(strategy, len(folds), task.tell if task.verbose else None)
    with watch:
        for k, data in enumerate(parts):
            if ends is not None:  # what is left is for all folds that are left
                left = max(ends - time.monotonic(), 1e-9) / (len(folds) - k)
                strategy = copy.copy(strategy).set_params(max_seconds=left)
            rows = np.concatenate([fold for j, fold in enumerate(folds) if j != k]), folds[k]
            network, seed = task.start.build_network(device), task.seed + k
            with single_threaded():
                fold = strategy.train(network, task.problem, data, *rows, seed, device, prior)
            of_half = tuple(each.double() for each in fold.for_half)
            trained.append(fold._replace(network=fold.network.double(), for_half=of_half))
            watch.end_fold()
    return trained


def _prior_of(checkpoint):
    """The prior that weights were pretrained on, None if their card does not say.

    Raises
    ------
    ValueError
        If what the card says is no prior of this kind.
    """
    description = checkpoint.card.get("prior")
    if description is None:
        return None
    try:
        return checkpoint.kind.prior.from_description(description)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        name = checkpoint.card.get("name", "unnamed")
        raise ValueError(
            f"the card of checkpoint {name!r} describes no prior of {checkpoint.kind.name!r}: "
            f"{error}"
        ) from None


# ------------------------------------------------------------------ choosing


def _chosen(task, charging, trained):
    """The candidate to use, the report, and the class of the baseline that is best or None."""
    task.tell("charging the finetuned weights")
    costs, baseline = _costs_of_networks(task, charging, trained), None
    if task.strategy.baselines and kind_of(charging.portfolio).baselines:
        costs["baseline"], baseline = _costs_of_baselines(task, charging)
    task.tell("choosing")
    chosen, report = _choose(costs, charging)
    if chosen != "pretrained" and task.portfolio is not charging.portfolio:
        task.tell(f"charging {chosen} on all observations")
        charging = _on_all_observations(task, charging)
        if chosen == "baseline":
            costs = _costs_of_one_baseline(task, charging, baseline)
        else:
            costs = _costs_of_networks(task, charging, trained)
        chosen, report = _choose({name: costs[name] for name in ("pretrained", chosen)}, charging)
    return chosen, report, baseline


def _choose(costs, charging):
    """`choose` on the rows of all folds that were charged."""
    rows = np.sort(np.concatenate(charging.folds))
    rows = rows[~np.isnan(charged_of(charging.rounds)[rows]).all(axis=1)]
    return choose(costs, rows, charging.doubt, periods_of(charging.rounds), charging.shared)


def _costs_of_networks(task, charging, trained):
    """Cross-fitted costs of the pretrained and finetuned networks and their blend; dict.

    What later outcomes taught need not agree with the observations before them.
    """
    before, rounds, agreement = charging.before, charging.rounds, charging.agreement
    after = cross_fitted_laws(task.problem, trained, before, rounds, charging.folds)
    between = [blended(*pair) for pair in zip(before, after, strict=True)]
    laws = {"pretrained": agreed(agreement, before, rounds), "finetuned": after, "blend": between}
    if task.outcomes is None:
        for name in ("finetuned", "blend"):
            laws[name] = agreed(agreement, laws[name], rounds)
    return {name: cell_costs(task.problem, each, rounds) for name, each in laws.items()}


def _costs_of_baselines(task, charging):
    """Costs of the baseline that is cheapest on other folds, and the class of the cheapest."""
    kinds, table = kind_of(charging.portfolio).baselines, []
    for kind in kinds:
        task.tell(f"charging the baseline {kind.__name__}")
        laws = baseline_laws(kind, task.problem, charging.rounds)
        table.append(cell_costs(task.problem, laws, charging.rounds))
    costs, best = best_of_others(np.array(table), charging.folds)
    return costs, kinds[best]


def _costs_of_one_baseline(task, charging, kind):
    """Costs of the pretrained network and of one baseline; dict."""
    rounds = charging.rounds
    own = agreed(charging.agreement, charging.before, rounds)
    laws = {"pretrained": own, "baseline": baseline_laws(kind, task.problem, rounds)}
    return {name: cell_costs(task.problem, each, rounds) for name, each in laws.items()}


def _on_all_observations(task, charging):
    """A round for each fold, on all evidence that there is, and the pretrained laws in it."""
    rounds = on_all_observations(task.portfolio, one_for_each(charging.rounds, charging.folds))
    before = network_laws(charging.network, rounds, task.problem.of_means)
    return charging._replace(rounds=rounds, before=before)
