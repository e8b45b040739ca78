"""Laws between those of a network and of exact empirical Bayes, where stock capped sales.

Networks take demand of any shape for possible. Where levels of rows are gamma or lognormal, and
demand around them Poisson or lognormal, the likelihood of all sales, capped ones too, says more
(`CensoredEmpiricalBayes`): exact sums over rows, nothing learned. How far laws are the one's and
how far the other's, is weighed by what either said of what it had not seen (stacking).
"""

import numpy as np
from scipy import optimize, special

from sklearn_pttf._kinds.demand.held_out import HeldOut, spread_out
from sklearn_pttf._laws.mass import log_mass
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf.baselines import CensoredEmpiricalBayes

FIRST_ODDS = -1.0  # log odds of the companion, before anything is held out
SPREAD = 2.0  # prior deviation of what is added to that
AT_ONCE = 0.5  # of the likelihood that observations of one row would have if they were independent
MOST_ROWS = 600  # of which outcomes are held out
BOUNDS = (-12.0, 12.0)  # of log odds
MOST_APART = 0.3  # of total expected demand, that a companion may add or take


class CappedStack:
    """How far laws of a table with capped sales are the network's, and how far the companion's.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to laws of the network.

    some : Portfolio
        Rows that laws are made from and tried on.
    """

    def __init__(self, predict, some):
        self.companion = CensoredEmpiricalBayes()._fit_portfolio(some)
        fewer = some.take(spread_out(some.observations, MOST_ROWS))
        gains = [self._gain(turn) for turn in HeldOut.turns(predict, fewer)]
        gains = np.concatenate(gains) if gains else np.zeros(0)

        def loss(odds):
            fit = np.logaddexp(odds + gains, 0.0) - np.logaddexp(odds, 0.0)
            return 0.5 * ((odds - FIRST_ODDS) / SPREAD) ** 2 - AT_ONCE * fit.sum()

        odds = optimize.minimize_scalar(loss, bounds=BOUNDS, method="bounded").x
        laws = predict(some), self.companion._predict_law(some)
        self.weight = min(float(special.expit(odds)), _most_weight(*laws))

    def _gain(self, turn):
        """By how much more the companion said of what was held out of rows; (k,)."""
        whole = turn.evidence.integer
        laws = turn.law, self.companion._predict_law(turn.evidence)
        known, other = (log_mass(law, turn.outcomes, turn.capped, whole) for law in laws)
        return other - known

    def law(self, law, portfolio):
        """Laws between those of the network and of the companion; `MixtureLaw`."""
        other = self.companion._predict_law(portfolio)
        weights = np.broadcast_to([1 - self.weight, self.weight], (len(portfolio), 2))
        return MixtureLaw([law, other], weights, integer=portfolio.integer)


def _most_weight(law, other):
    """Of a companion, which no sale contradicts far above all stock, by total expected demand."""
    total, apart = law.mean().sum(), np.abs(other.mean().sum() - law.mean().sum())
    return min(1.0, MOST_APART * total / apart) if apart > 0 else 1.0
