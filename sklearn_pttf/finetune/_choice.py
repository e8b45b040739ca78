"""Which candidate to use, by cross-fitted costs, and what is told of it."""

from typing import NamedTuple

import numpy as np
import torch

from sklearn_pttf._tables.periods import students_errors, two_way_error
from sklearn_pttf.finetune._rounds import row_means

FEW_TO_LEAVE = 100
ERRORS_OF_DOUBT = 5.0  # standard errors that a p-value of 1 would ask of few rows, 2 at most
SO_FEW, SURELY_WRONG = 30, 0.03  # rows below which a p-value has to be so small to count
EXCHANGEABLE = "exchangeable"  # the pretrained network, on the table without order or drivers
UNTRAINED = ("baseline", EXCHANGEABLE)
FEWEST_PERIODS = 4  # that decide anything where rows share shocks: fewer may be alike by chance


def choose(costs, rows, conflict=1.0, periods=None, shared=False):
    """The candidate to use, and the report.

    It leaves the first candidate only for one whose mean cost is lower by more than one standard
    error of the difference, over rows and periods. Below 100 rows it takes two; but as costs of so
    few rows cannot tell much, a pretrained law that is in doubt anyway is left for less, five
    standard errors times the p-value (below 30 rows, if that is below 0.03: of right laws it is
    small now and then, and so few rows may be fooled twice). Where it takes more than one, a blend
    goes before the finetuned network unless that is cheaper by one. A baseline always takes two:
    while an observation is held out rows have one fewer than they are decided on, which is kinder
    to baselines than to networks. Where rows share shocks of periods every candidate takes two, or
    as many more as Student's law asks of so few periods, and of fewer than four nothing is enough.

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
    least = 2.0 if shared else _least_errors(len(rows), conflict)
    needed = np.array([errors(2 if name in UNTRAINED else least) for name in names])
    with np.errstate(invalid="ignore"):  # of one period no error is known
        eligible = gain > needed * error
    eligible[0] = False
    chosen = int(np.where(eligible, gain, -np.inf).argmax()) if eligible.any() else 0
    blend = names.index("blend") if "blend" in names else 0
    if (least > 1 or shared) and names[chosen] == "finetuned" and eligible[blend]:
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


def _least_errors(n_rows, conflict):
    """Standard errors that a gain needs to be, where rows are independent."""
    if n_rows >= FEW_TO_LEAVE:
        return 1.0
    if n_rows < SO_FEW and conflict >= SURELY_WRONG:
        return 2.0
    return min(2.0, ERRORS_OF_DOUBT * conflict)


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


def cheapest_before(costs):
    """Costs of the candidate that was cheapest in earlier periods, for every period.

    Parameters
    ----------
    costs : ndarray of shape (n_candidates, n, k)
        Of every candidate, row and period; NaN where nothing is charged.

    Returns
    -------
    costs : ndarray of shape (n, k)
        In the first period those of the first candidate.

    best : int
        The cheapest over all periods.
    """
    means = [
        [row_means(each[:, :k].ravel()) for k in range(1, costs.shape[2] + 1)] for each in costs
    ]
    ranked = np.nan_to_num(np.array(means)).argmin(axis=0)  # after each period
    used = np.concatenate([[0], ranked[:-1]])
    return np.stack([costs[j, :, k] for k, j in enumerate(used)], axis=1), int(ranked[-1])


class Finetuning(NamedTuple):
    """What came of finetuning."""

    chosen: str  # "pretrained", "finetuned", "blend", "exchangeable" or "baseline"
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
        rolled = "first_origin" in self.report
        unseen = "periods it had not seen" if rolled else "rows it was not trained on"
        compared = (
            f"{abs(gain):.1%} +- {error:.1%} {'dearer' if gain < 0 else 'cheaper'} than pretrained "
            f"on {unseen}"
        )
        if kept:
            return f"In use: pretrained; {self.report['candidate'][told]} was {compared}."
        return f"In use: {self.chosen}, {compared}."


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
