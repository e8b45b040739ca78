"""A table in the order of time, as it was known before each of its newest periods.

Rounds charge a period on what was forecast of it before; lessons are what networks are trained on.
Neither sees anything of a later period: what rows share is found from the periods before alone.
"""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._series.conditions import Conditions
from sklearn_pttf._series.rolling import newest_period, of_known_rows
from sklearn_pttf._tables.attributes import AttributeEffects
from sklearn_pttf._tables.completion import completed, demand_of
from sklearn_pttf._utils.progress import bar
from sklearn_pttf.finetune._data import finetune_data, make_batch
from sklearn_pttf.finetune._rounds import Round

MOST_CHARGED = 8  # newest periods that decisions are charged on
FEWEST_BEFORE = 4  # periods before each of these, and half of the table
MOST_LESSONS = 12  # periods before those charged that networks are trained on
FEWEST_READ = 2  # periods before each of these, and a third of the table
MOST_READ = 32  # newest periods that are read in training
PERIODS = "newest periods, each decided from those before it"


def periods_to_charge(width):
    """Periods that decisions are charged on, of so many; range."""
    return range(max(width - MOST_CHARGED, FEWEST_BEFORE, -(-width // 2)), width)


def periods_to_learn(width):
    """Periods that networks may be trained on, where they lie before those charged; range."""
    first = periods_to_charge(width)[0] - MOST_LESSONS
    return range(max(first, FEWEST_READ, width // 3), width)


class History:
    """What was known before each period.

    Parameters
    ----------
    table : Portfolio
        In the order of time, or with drivers.

    look : Look
        What is made use of.
    """

    def __init__(self, table, look):
        self.table, self.look, self._found, self._effects = table, look, {}, {}
        self.width = table.observations.shape[1]
        self.demand = demand_of(table)

    def before(self, period):
        """The table as it was before a period."""
        return self.table if period == self.width else self.table.before(period, 1)

    def conditions(self, period):
        """`Conditions` that were found before a period."""
        if period not in self._found:
            self._found[period] = Conditions(self.before(period), 1, self.look)
        return self._found[period]

    def at_levels(self, evidence, period):
        """Evidence with what attributes told before a period of rows' levels."""
        if not self.table.attributes:
            return evidence
        if period not in self._effects:
            demand = completed(self.before(period))
            self._effects[period] = AttributeEffects(self.conditions(period).at(demand, 1))
        return self._effects[period].at(evidence)

    def round(self, period):
        """`Round` that charges decisions for a period."""
        before = self.before(period)
        evidence = self.at_levels(self.conditions(period).at(before, 1), period)
        outcomes = of_known_rows(before, self.demand[:, period])
        return Round(evidence, outcomes, np.full(outcomes.shape, period), table=before)

    def lesson(self, period):
        """What was known before a period, at the conditions that it really had, and its outcomes.

        So the network learns of laws at given conditions; doubt of these is no part of them.
        """
        evidence, _ = newest_period(self.conditions(period + 1), self.before(period + 1))
        outcomes = of_known_rows(evidence, self.demand[:, period])
        return self.at_levels(evidence, period), outcomes


class DataInTime(NamedTuple):
    """Rows to finetune on, as `FinetuneData` of every period that is learned from."""

    parts: tuple  # of `FinetuneData`
    periods: tuple  # of int, one a part

    @property
    def ratios(self):
        """Levels of the quantiles that rows ask for; (n,)."""
        return self.parts[-1].ratios

    @property
    def n_turns(self):
        """Number of periods that are validated on."""
        return len(self.parts)

    def usable(self):
        """Positions of the rows that are charged in any period; ndarray of int."""
        return np.flatnonzero(np.any([~np.isnan(part.outcomes[:, 0]) for part in self.parts], 0))

    def before(self, period):
        """The same, of earlier periods only."""
        kept = [k for k, each in enumerate(self.periods) if each < period]
        return DataInTime(*(tuple(of[k] for k in kept) for of in self))

    def drawn(self, rng):
        """One of the periods, at random."""
        return int(rng.integers(len(self.parts)))

    def in_turn(self, n_turns, rng):
        """Different periods, at random."""
        return rng.permutation(len(self.parts))[:n_turns]

    def batch(self, context, charged, k):
        """One portfolio before the k-th of the periods; see `make_batch`."""
        part = self.parts[k]
        return make_batch(part, context, charged, np.zeros(len(part.sizes), dtype=int))


def data_in_time(config, problem, history, periods, device):
    """`DataInTime` of some periods of a `History`, without those that nothing is to learn from."""
    found, width = {}, min(MOST_READ, max(periods, default=0))
    for period in bar(periods, what="reading", unit="period"):
        evidence, outcomes = history.lesson(period)
        part = finetune_data(config, problem, _newest(evidence, width), outcomes, device)
        if np.nanmax(outcomes, initial=0.0) > 0 and np.isfinite(part.worth).all():
            found[period] = part
    return DataInTime(tuple(found.values()), tuple(found))


def _newest(portfolio, width):
    """The newest columns, so many in any case: empty ones before the first."""

    def cut(values):
        missing = [(0, 0)] * values.ndim
        missing[1] = (max(0, width - values.shape[1]), 0)
        return np.pad(values[:, -width:], missing, constant_values=np.nan)

    return portfolio.map(cut, along="cell")
