"""Rows that are read beside their like: the rows of one label as a table of their own.

Attributes move levels of rows (`sklearn_pttf._tables.attributes`). All else in which labels differ,
how much demand varies, how often there is none, how steady it is, a network sees if it reads the
rows of a label alone. How far laws come from there grows with the number of these rows; how fast,
is what outcomes say of rows that neither table had.
"""

from typing import NamedTuple

import numpy as np

from sklearn_pttf._kinds.demand.held_out import GOLDEN, spread_out
from sklearn_pttf._laws.mass import log_mass
from sklearn_pttf._laws.mixture import MixtureLaw
from sklearn_pttf._laws.patchwork import PatchworkLaw
from sklearn_pttf._network.table import ReadTable
from sklearn_pttf._series.rolling import newest_period
from sklearn_pttf._tables.attributes import label_groupings
from sklearn_pttf._tables.portfolio import Portfolio

FEWEST_ROWS = 10  # with observations, that are a table of their own
MOST_TRIED = 3  # attributes
LEAST_COVERED = 0.2  # of rows, by labels of so many
MOST_ROWS = 1000  # of either half of a table, that the other one is tried beside
MOST_HELD_OUT = 300  # of them, of which outcomes are held out
PULLS = np.array([1.0, 3.0, 10.0, 30.0, 100.0, 300.0])  # rows that the whole table counts for
CONVINCING = 3.0  # log likelihood that tables of their own have to gain
CERTAIN = 30.0  # that is far beyond chance after one comparison
N_SHUFFLED = 3  # times that labels are dealt out anew, to gain less than they do
AT_ONCE = 0.5  # of the likelihood of an outcome that is predicted twice


class Trial(NamedTuple):
    """What laws are tried on: rows of the table with less evidence than there is."""

    evidence: Portfolio
    outcomes: np.ndarray  # (n,) that the evidence leaves out, NaN for none
    capped: np.ndarray  # (n,) bool, whether outcomes are at least that


def trials_of(portfolio):
    """Every row without one of its observations, and without any; list of `Trial`."""
    observations, counts = portfolio.observations, portfolio.counts
    order = spread_out(observations, len(portfolio))
    place = np.zeros(len(portfolio))
    place[order] = np.arange(len(order)) * GOLDEN % 1  # by what rows are, not where
    by_size = observations.argsort(axis=1, kind="stable")  # NaN last
    ranks = (place * counts).astype(int)[:, None]
    cells = np.where(counts > 0, np.take_along_axis(by_size, ranks, axis=1)[:, 0], -1)
    return _with_and_without(*portfolio.held_out(cells), portfolio, cells)


def trials_in_time(conditions, table):
    """Every row before its newest period, and without any observation; list of `Trial`.

    ``table`` is the portfolio as it is.
    """
    cells = np.full(len(table), table.observations.shape[1] - 1)
    return _with_and_without(*newest_period(conditions, table), table, cells)


def _with_and_without(evidence, outcomes, portfolio, cells):
    """Trials of outcomes by evidence and by none, which may be capped in cells of a portfolio."""
    capped = portfolio.capped_at(cells)
    empty = evidence.with_observations(np.full_like(evidence.observations, np.nan))
    return [Trial(each, outcomes[:, 0], capped) for each in (evidence, empty)]


class LabelledTables:
    """Laws of rows, between those beside all rows and those beside rows of the same label.

    Parameters
    ----------
    networks : list of DecisionNetwork

    portfolio : Portfolio
        The context, with attributes.

    trials : list of Trial
        Of the same rows.

    Attributes
    ----------
    grouping : _ByLabel, _ByRange or None
        What rows are read apart by; None where that gains nothing.

    weights : ndarray of shape (n_levels,)
        Of laws beside a level's own rows.
    """

    def __init__(self, networks, portfolio, trials):
        self.grouping, self.tables, self.weights = None, {}, np.zeros(0)
        groupings = _groupings(portfolio)
        if not groupings:
            return
        halves = [_Half(networks, portfolio, trials, k) for k in (0, 1)]
        best = _most_convincing(groupings, halves, portfolio)
        if best is None:
            return
        _, pull, grouping = best
        self.grouping = grouping
        codes = _codes(grouping, portfolio)
        n_rows = np.bincount(codes[codes >= 0], minlength=len(grouping.levels))
        n_rows = np.where(n_rows < FEWEST_ROWS, 0, n_rows)
        self.weights = n_rows / (n_rows + pull)
        self.tables = _tables(networks, portfolio, codes)

    def law(self, law, portfolio):
        """Laws in place of those beside all rows."""
        if not self.tables:
            return law
        codes, _ = self.grouping.of(portfolio.attributes)
        own, apart = _laws(self.tables, law, portfolio, codes)
        weights = np.where(apart, self.weights[codes], 0.0)
        return MixtureLaw([law, own], np.stack([1 - weights, weights], 1), portfolio.integer)

    def attach(self, networks):
        """Read on with networks that were built anew, after a pickle."""
        for table in self.tables.values():
            table.attach(networks)


class _Tried(NamedTuple):
    """What a grouping gains, and the pull that gains most."""

    gain: float
    pull: float
    grouping: object


def _most_convincing(groupings, halves, portfolio):
    """What gains most beyond shuffled labels, None if nothing gains enough.

    Any rows by themselves are another reading of the table, and to average two readings gains
    something whatever rows they are of.
    """
    best, most = None, CONVINCING
    tried = [_Tried(*_best(halves, _codes(each, portfolio)), each) for each in groupings]
    for each in sorted(tried, key=lambda each: -each.gain):
        codes, beyond = _codes(each.grouping, portfolio), each.gain
        for seed in range(N_SHUFFLED):
            if beyond < most or (seed > 0 and beyond > CERTAIN):
                break
            chance, _ = _best(halves, _shuffled(codes, portfolio, seed))
            beyond = min(beyond, each.gain - chance)
        if beyond >= most:
            best, most = each, beyond
    return best


def _shuffled(codes, portfolio, seed):
    """The same number of rows of every level, whatever they are and in whatever order."""
    order = spread_out(portfolio.observations, len(portfolio))
    shuffled = np.full(len(codes), -1)
    shuffled[order] = np.sort(codes[order])[np.random.RandomState(seed).permutation(len(order))]
    return shuffled


def _codes(grouping, portfolio):
    """Codes of rows with observations, -1 of all others; (n,)."""
    return np.where(portfolio.counts > 0, grouping.of(portfolio.attributes)[0], -1)


def _groupings(portfolio):
    """What rows may be read apart by: few, of which levels of many rows have the most."""
    found = []
    for each in label_groupings(portfolio.attributes):
        codes = _codes(each, portfolio)
        n_rows = np.bincount(codes[codes >= 0])
        large = n_rows[n_rows >= FEWEST_ROWS]
        if len(large) and large.max() < (portfolio.counts > 0).sum():
            found.append((-large.sum(), len(found), each))
    least = LEAST_COVERED * (portfolio.counts > 0).sum()
    return [each for covered, _, each in sorted(found)[:MOST_TRIED] if -covered >= least]


def _tables(networks, portfolio, codes, agree=True, fewest=FEWEST_ROWS):
    """Tables of levels that have rows enough, by code."""
    rows = {code: np.flatnonzero(codes == code) for code in np.unique(codes[codes >= 0])}
    return {
        code: ReadTable(networks, portfolio.take(own), agree)
        for code, own in rows.items()
        if len(own) >= fewest
    }


def _laws(tables, law, portfolio, codes):
    """Laws beside rows of the same level, others as they are, and which these are not."""
    places = [np.flatnonzero(codes == code) for code in tables]
    apart = np.isin(codes, list(tables))
    laws = [
        table.law(portfolio.take(rows))
        for table, rows in zip(tables.values(), places, strict=True)
        if len(rows)
    ]
    places = [rows for rows in places if len(rows)]
    if not apart.all():
        laws, places = [*laws, law.take(~apart)], [*places, np.flatnonzero(~apart)]
    return PatchworkLaw(laws, places), apart


class _Half:
    """Half of a table, and outcomes of rows of the other half by it.

    Laws beside all of its rows agree with them; those beside rows of a label alone do not, in
    doubt for the whole table.
    """

    def __init__(self, networks, portfolio, trials, half):
        order = spread_out(portfolio.observations, len(portfolio))
        self.networks = networks
        self.rows = np.sort(_evenly(order[half::2], MOST_ROWS))
        self.portfolio = portfolio.take(self.rows)
        self.tested = np.sort(_evenly(order[1 - half :: 2], MOST_HELD_OUT))
        whole = ReadTable(networks, self.portfolio)
        self.told = []  # of each trial: its rows, their evidence, laws, and how likely outcomes are
        for trial in trials:
            rows = self.tested[np.isfinite(trial.outcomes[self.tested])]
            evidence = trial.evidence.take(rows)
            seen = trial.outcomes[rows], trial.capped[rows], portfolio.integer
            law = whole.law(evidence)
            self.told.append((rows, evidence, law, seen, log_mass(law, *seen)))

    def gains(self, codes):
        """Log likelihood that is gained beside rows of the same code, for each of `PULLS`."""
        own = codes[self.rows]
        tables = _tables(self.networks, self.portfolio, own, False, FEWEST_ROWS // 2)
        n_rows, gains = np.bincount(own[own >= 0], minlength=codes.max() + 1), np.zeros(len(PULLS))
        for rows, evidence, law, seen, known in self.told:
            apart, changed = _laws(tables, law, evidence, codes[rows])
            gain = (log_mass(apart, *seen) - known)[changed][:, None]
            weight = n_rows[codes[rows[changed]]][:, None]
            weight = weight / (weight + PULLS)
            gains += np.logaddexp(np.log1p(-weight), np.log(weight) + gain).sum(axis=0)
        return gains


def _best(halves, codes):
    """Log likelihood that is gained, and the pull that gains most."""
    gains = sum(half.gains(codes) for half in halves)
    best = int(np.argmax(gains))
    return AT_ONCE * gains[best], PULLS[best]


def _evenly(rows, most):
    """At most so many of rows."""
    if len(rows) <= most:
        return rows
    return rows[((np.arange(most) + 0.5) / most * len(rows)).astype(int)]
