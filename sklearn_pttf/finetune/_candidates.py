"""Laws of the candidates: networks, pretrained and finetuned, and what is between them."""

import copy
import functools

import numpy as np

from sklearn_pttf._laws.pit import pit_values, smooth_test
from sklearn_pttf._network.reading import encode_context, predict_law
from sklearn_pttf._network.table import ReadTable
from sklearn_pttf._series.conditions import over_doubt
from sklearn_pttf._tables.periods import students_errors, two_way_error
from sklearn_pttf._utils.progress import bar
from sklearn_pttf.finetune._rounds import cell_costs, n_periods, periods_of, row_means


def network_laws(network, rounds, of_mean=False):
    """The law of every row, one a round, with the round's evidence as context.

    With ``of_mean`` that of its mean, where the network has one.
    """
    of_mean = of_mean and network.kind.of_means
    evidence = bar([round.evidence for round in rounds], what="charging", unit="period")
    return [predict_law(network, encode_context(network, each), each, of_mean) for each in evidence]


def cross_fitted_laws(problem, trained, before, rounds, folds):
    """Laws of every row by a network that neither trained on it nor was chosen by it.

    Two halves of a fold each choose the epoch for the other. A row outside the folds keeps the law
    of ``before``, and so does one in a round that charges nothing of its half.
    """
    quantiles = [law.quantiles.copy() for law in before]
    pairs = list(zip(trained, folds, strict=True))
    for fold, rows in bar(pairs, what="charging", unit="fold"):

        @functools.cache  # both halves may have chosen the same network
        def context_of(network, k):
            return encode_context(network, rounds[k].evidence)

        for network, part in zip(fold.for_half, (rows[::2], rows[1::2]), strict=True):
            of_mean = problem.of_means and network.kind.of_means
            for k, each in enumerate(rounds):
                if not np.isnan(each.charged[part]).all():
                    portfolio = each.evidence.take(part)
                    law = predict_law(network, context_of(network, k), portfolio, of_mean)
                    quantiles[k][part] = law.quantiles
    return [law.with_quantiles(own) for law, own in zip(before, quantiles, strict=True)]


def laws_in_time(networks, rounds):
    """Laws of one network, or between those of two, one a round, as decisions are made on them.

    They agree with the evidence of their own round, and are mixed over doubt of its conditions.
    """
    rounds = bar(rounds, what="charging", unit="period")
    return [_law_in_time(networks, round.evidence) for round in rounds]


def _law_in_time(networks, evidence):
    return over_doubt(ReadTable(networks, evidence).law, evidence)


def averaged(networks):
    """The network whose weights are the means of others', in place of the first."""
    states = [network.state_dict() for network in networks]
    mean = {name: sum(state[name] for state in states) / len(states) for name in states[0]}
    networks[0].load_state_dict(mean)
    return networks[0]


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
