"""Whether to leave the pretrained network, for tables in the order of time.

The origin is rolled: each of the newest periods is charged on decisions from what was known before
it, by networks that were trained on nothing later, and by baselines that were fitted before.
"""

from typing import NamedTuple

import numpy as np
import torch

from sklearn_pttf._series.conditions import Conditions, Look
from sklearn_pttf._utils.progress import bar
from sklearn_pttf.finetune._auto import FEW_ROWS, AutoFinetune, is_doubted
from sklearn_pttf.finetune._candidates import (
    averaged,
    laws_in_time,
    moments_are_cheaper,
    network_laws,
    prior_conflict,
)
from sklearn_pttf.finetune._choice import (
    EXCHANGEABLE,
    FEWEST_PERIODS,
    Finetuning,
    cheapest_before,
    choose,
    not_tried,
)
from sklearn_pttf.finetune._guard import EVEN, FEWEST_ROWS, train_folds
from sklearn_pttf.finetune._origins import (
    PERIODS,
    History,
    data_in_time,
    periods_to_charge,
    periods_to_learn,
)
from sklearn_pttf.finetune._rivals import baseline_laws, rivals_in_time
from sklearn_pttf.finetune._rounds import cell_costs, charged_of, folds_of, periods_of

MOST_ROWS = 5000  # that are trained on and charged, in every period


class _Charging(NamedTuple):
    """What candidates are charged on, and what the pretrained network says of it."""

    network: torch.nn.Module  # the pretrained one
    history: History
    periods: range
    rounds: list  # one a period
    rows: np.ndarray  # that are charged in any
    laws: list  # the pretrained ones
    conflict: float  # p-value of these
    doubt: float  # what of that counts


def finetune_in_time(task):
    """Train on earlier periods, charge all candidates on later ones, and choose.

    Parameters
    ----------
    task : Task
        Its portfolio is the table as it was read, with later outcomes as further periods.

    Returns
    -------
    Finetuning
    """
    last = None if task.start is task.checkpoint else task.start.build_network(task.device)
    rng = np.random.default_rng(task.seed)
    task = _of_some_rows(task, rng)
    history = History(task.portfolio, task.look)
    reason = _reason_not_to_try(history)
    if reason is not None:
        return not_tried(reason, last=last)
    charging = _pretrained_charged(task, history, rng)
    costs = {"pretrained": cell_costs(task.problem, charging.laws, charging.rounds)}
    if not np.nanmax(costs["pretrained"]) > 0:
        return not_tried("no decision costs anything", charging.conflict, last)
    strategy, trained = _strategy(task, charging), []
    data, untrained = _data(task, charging, strategy)
    if untrained is not None and last is not None:
        return not_tried(untrained, charging.conflict, last)
    if untrained is None:
        trained, blocks = _trained(task._replace(strategy=strategy), charging, data, rng)
        costs |= _costs_of_trained(task, charging, trained, blocks)
    if any(history.conditions(period).found for period in charging.periods):
        costs[EXCHANGEABLE] = _costs_without_order(task, charging)
    report, baseline = {}, None
    kinds = rivals_in_time(history.table) if task.strategy.baselines else ()
    if kinds:
        costs["baseline"], baseline = _costs_of_baselines(task, charging, kinds)
        report["baseline"] = baseline.__name__
    if untrained is not None:
        report["not_trained"] = untrained
    task.tell("choosing")
    periods = periods_of(charging.rounds)
    rows, doubt = charging.rows, charging.doubt
    chosen, compared = choose(costs, rows, doubt, periods, shared=True)
    return Finetuning(
        chosen,
        {
            **compared,
            **report,
            "charged_on": PERIODS,
            "first_origin": charging.periods[0],
            "last_origin": charging.periods[-1],
            "prior_conflict": charging.conflict,
        },
        averaged([fold.network for fold in trained]) if trained else None,
        baseline,
        float(np.mean([fold.n_iter for fold in trained])) if trained else 0.0,
        [{"fold": k, **row} for k, fold in enumerate(trained) for row in fold.history],
    )


# ------------------------------------------------------------------ before training


def _of_some_rows(task, rng):
    """The task on at most 5,000 random rows, of a problem of one period."""
    share = min(1.0, MOST_ROWS / len(task.portfolio))
    problem, portfolio = task.problem.for_training(task.portfolio, share)
    if share < 1:
        portfolio = portfolio.take(np.sort(rng.permutation(len(portfolio))[:MOST_ROWS]))
    return task._replace(problem=problem, portfolio=portfolio)


def _reason_not_to_try(history):
    """Why no period is charged, None if some are."""
    n_periods = len(periods_to_charge(history.width))
    if n_periods < FEWEST_PERIODS:
        return (
            f"{history.width} periods are too few: of {2 * FEWEST_PERIODS} or more the newest "
            "decide, each from those before it"
        )
    mask = history.table.mask
    after = mask & (mask.cumsum(axis=1) > 1)  # cells with an observation before them
    n_rows = after[:, -n_periods:].any(axis=1).sum()
    if n_rows < FEWEST_ROWS:
        return f"{n_rows} rows to charge are fewer than {FEWEST_ROWS}"
    return None


def _pretrained_charged(task, history, rng):
    """The rounds, and the pretrained laws in them; `_Charging`."""
    periods = periods_to_charge(history.width)
    task.tell(f"charging the pretrained weights in {len(periods)} periods")
    rounds = [history.round(period) for period in bar(periods, what="reading", unit="period")]
    rows = np.flatnonzero(~np.isnan(charged_of(rounds)).all(axis=1))
    network = task.checkpoint.build_network(task.device, torch.float64)
    laws = laws_in_time([network], rounds)
    conflict = prior_conflict(laws, rounds, rng, shared=True)
    # a strategy that was asked for has to show a clear gain
    doubt = conflict**EVEN if isinstance(task.strategy, AutoFinetune) else 1.0
    return _Charging(network, history, periods, rounds, rows, laws, conflict, doubt)


def _strategy(task, charging):
    """The strategy to train with, None for none."""
    if not isinstance(task.strategy, AutoFinetune):
        return task.strategy
    history, n_rows = charging.history, len(charging.rows)
    by_moments = task.start is task.checkpoint and is_doubted(charging.doubt, n_rows)
    if by_moments:  # told by periods that are not charged
        earlier = [t for t in periods_to_learn(history.width) if t < charging.periods[0]]
        network, rounds = charging.network, [history.round(period) for period in earlier]
        laws = network_laws(network, rounds)
        by_moments = moments_are_cheaper(network, task.problem, laws, rounds, shared=True)
    return task.strategy.choose(n_rows, charging.doubt, by_moments)


def _data(task, charging, strategy):
    """What networks are trained on; or None, and why none is."""
    kind, history = charging.network.kind, charging.history
    if strategy is None:
        return None, (
            f"{len(charging.rows)} rows to charge are fewer than {FEW_ROWS}, and the pretrained "
            f"law fits them (p = {charging.conflict:.2f})"
        )
    over_exposure = any(round.evidence.exposure is not None for round in charging.rounds)
    if over_exposure and kind.reads_exposure() and "coming" not in kind.reads:
        return None, f"finetuning does not read what {kind.title} are counted over"
    lessons = [t for t in periods_to_learn(history.width) if t < charging.periods[-1]]
    data = data_in_time(charging.network.config, task.problem, history, lessons, task.device)
    first = data.before(charging.periods[0])
    if not first.parts or len(first.usable()) < FEWEST_ROWS:
        return None, "there is too little to learn from before the periods that are charged"
    return data, None


# ------------------------------------------------------------------ candidates


def _trained(task, charging, data, rng):
    """Networks that were each trained before a block of the periods, and these blocks."""
    periods = charging.periods
    share = max(task.strategy.validation_fraction, 1 / len(periods))
    folds = folds_of(data.before(periods[0]).usable(), share, rng)
    blocks = np.array_split(periods, len(folds))
    task.tell(f"training on {len(data.ratios):,} rows, before each of {len(blocks)} blocks")
    return train_folds(task, [data.before(block[0]) for block in blocks], folds), blocks


def _costs_of_trained(task, charging, trained, blocks):
    """Costs of the finetuned networks, and of their blends with the pretrained one; dict."""
    task.tell("charging the finetuned weights")
    laws, first = {"finetuned": [], "blend": []}, charging.periods[0]
    for fold, block in zip(trained, blocks, strict=True):
        rounds = charging.rounds[block[0] - first : block[-1] - first + 1]
        laws["finetuned"] += laws_in_time([fold.network], rounds)
        laws["blend"] += laws_in_time([charging.network, fold.network], rounds)
    return {name: cell_costs(task.problem, some, charging.rounds) for name, some in laws.items()}


def _costs_without_order(task, charging):
    """Costs of the pretrained network on the table as if its periods were all alike."""
    task.tell("charging the pretrained weights without an order")
    rounds = []
    for period, round in zip(charging.periods, charging.rounds, strict=True):
        evidence = Conditions(round.table, 1, Look.away()).at(round.table, 1)
        evidence = charging.history.at_levels(evidence, period)
        rounds.append(round._replace(evidence=evidence))
    network = task.plain.build_network(task.device, torch.float64)
    return cell_costs(task.problem, laws_in_time([network], rounds), rounds)


def _costs_of_baselines(task, charging, kinds):
    """Costs of the baseline that was cheapest in earlier periods, and the class of the cheapest."""
    table = []
    for kind in kinds:
        task.tell(f"charging the baseline {kind.__name__}")
        laws = baseline_laws(kind, task.problem, charging.rounds)
        table.append(cell_costs(task.problem, laws, charging.rounds))
    costs, best = cheapest_before(np.array(table))
    return costs, kinds[best]
