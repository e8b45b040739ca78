"""What rows are, by attributes: how much of their levels that tells.

The log level of a row is a common one, plus an effect of each of its attributes, plus a deviation
of its own. Effects are normal around none (a mixed model by penalised quasi-likelihood [1]_); how
far levels of an attribute differ is found by marginal likelihood, and what gains no more than
chance is left out. A row's own total counts as far as it is sure, so rows of any number of
observations go together, and sums over rows are all there is: nothing is learned.

References
----------
.. [1] N. E. Breslow, D. G. Clayton, "Approximate inference in generalized linear mixed models",
   Journal of the American Statistical Association 88 (1993), 9-25.
"""

from dataclasses import dataclass, field
from itertools import combinations, pairwise

import numpy as np

FEWEST_ROWS = 5  # with observations, of which anything is told
CONVINCING = 2.0  # log likelihood that an attribute has to gain
OF_A_PAIR = 4.0  # that a pair has to, as there are many
N_OUTER, N_SWEEPS, N_STEPS = 4, 6, 4  # of linearising, of effects in turn, of rows' levels
VARIANCES = np.concatenate([[0.0], np.geomspace(1e-4, 10.0, 51)])  # that are tried
PULL = 0.25  # observations of a row as large as the usual one, where its level begins
LARGEST_STEP = 2.0  # of a log level
LEAST_VARIANCE = 1e-6
SHRUNK = 10.0  # degrees of freedom that common noise counts for in that of a label
LEAST_NOISE = 0.002  # variance over mean of amounts without zeros, in usual outcomes
N_BINS = 5  # of numbers, as many rows in each
FEWEST_FOR_BINS = 8  # different numbers; fewer are labels
LEAST_REPEATED = 0.5  # rows a label has to have on average, over one, for numbers to be labels
WIDE = 10.0  # times the smallest number, from which logs are taken
MOST_OF_PAIR = 3  # attributes that are paired
FAR = 3.0  # deviations from what is expected, from which a row counts less
MOST_EFFECT = 6.0  # of a log level
TRUTH = {"True": 1.0, "False": 0.0}  # of booleans that come as text


@dataclass(frozen=True)
class AttributeEffect:
    """Effects of an attribute on the level of its rows.

    Parameters
    ----------
    name : str
        Of the attribute, or of two: ``"brand x store"``.

    levels : tuple
        Labels, or ranges of numbers; ``"per deviation"`` of a number's even effect.

    effects : ndarray of shape (n_levels,)
        Added to the log level of a row, shrunk to none.

    standard_errors : ndarray of shape (n_levels,)
        Of these.

    n_rows : ndarray of shape (n_levels,)
        Rows with observations of each level.

    spread : float
        Standard deviation of effects between levels; also the standard error of the effect of a
        level that `fit` did not see, which is none.

    gain : float
        Log likelihood that the attribute gains beside the others.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sklearn_pttf import PretrainedDecisionTransformer
    >>> from sklearn_pttf.problems import Newsvendor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame(rng.poisson([[40]] * 20 + [[4]] * 20, size=(40, 3)), columns=list("abc"))
    >>> X["kind"] = ["large"] * 20 + ["small"] * 20
    >>> problem = Newsvendor(4.0, 1.0, attributes=["kind"])
    >>> pdt = PretrainedDecisionTransformer(problem, finetune=None).fit(X)
    >>> (kind,) = pdt.attribute_effects_
    >>> kind.to_frame()[["effect", "n_rows"]].round(1)
           effect  n_rows
    kind
    large     1.1      20
    small    -1.1      20

    What is new is decided from its kind:

    >>> new = pd.DataFrame({"a": [np.nan] * 2, "b": np.nan, "c": np.nan, "kind": kind.levels})
    >>> pdt.predict(new).round()
    array([41.,  4.])
    """

    name: str
    levels: tuple = field(repr=False)
    effects: np.ndarray = field(repr=False)
    standard_errors: np.ndarray = field(repr=False)
    n_rows: np.ndarray = field(repr=False)
    spread: float
    gain: float

    def to_frame(self):
        """Levels by effect, the largest first, with standard errors and numbers of rows.

        Returns
        -------
        DataFrame of shape (n_levels, 3)
            Columns ``effect``, ``standard_error`` and ``n_rows``; needs pandas.
        """
        import pandas as pd

        index = pd.Index(list(self.levels), name=self.name, tupleize_cols=False)
        columns = {"effect": self.effects, "standard_error": self.standard_errors}
        frame = pd.DataFrame({**columns, "n_rows": self.n_rows}, index=index)
        return frame.sort_values("effect", ascending=False, kind="stable")


def is_numeric(values):
    """Whether values of an attribute are numbers, and not labels."""
    return values.dtype.kind == "f"


def _labels(values):
    """Labels as text; numbers as they are."""
    if is_numeric(values):
        return values
    return np.array(["" if v is None else str(v) for v in values.tolist()], dtype=str)


def _known(values):
    """Where an attribute is known; bool (n,)."""
    if is_numeric(values):
        return ~np.isnan(values)
    return np.array([v is not None for v in values.tolist()], dtype=bool)


def _alike(values, numeric):
    """Values as those of fit were: numbers, or labels."""
    if is_numeric(values) == numeric:
        return values
    if numeric:
        return np.array([_number(v) for v in values.tolist()])
    return np.array([None if np.isnan(v) else label_of(v) for v in values], dtype=object)


def label_of(value):
    """Text of a cell; whole numbers without a point, whatever type they come in."""
    number = isinstance(value, (float, np.floating)) and np.isfinite(value)
    return str(int(value)) if number and value == int(value) else str(value)


def _number(label):
    try:
        return np.nan if label is None else float(TRUTH.get(label, label))
    except ValueError:
        return np.nan


class _ByLabel:
    """Rows by what an attribute is: a code, -1 where not known, and what its effect counts."""

    even = False

    def __init__(self, name, values):
        self.name, self.numeric = name, is_numeric(values)
        self.labels = np.unique(_labels(values)[_known(values)])
        self.levels = tuple(self.labels.tolist())

    def of(self, attributes):
        """Codes and factors of rows; ``(n,)`` each."""
        own = _alike(attributes[self.name], self.numeric)
        labels = _labels(own)
        place = np.minimum(np.searchsorted(self.labels, labels), len(self.labels) - 1)
        found = _known(own) & (self.labels[place] == labels)
        return np.where(found, place, -1), np.ones(len(labels))


class _ByRange:
    """Rows by ranges of numbers."""

    even = False

    def __init__(self, name, values):
        self.name = name
        self.edges = np.unique(np.quantile(values[_known(values)], np.arange(1, N_BINS) / N_BINS))
        ends = pairwise([-np.inf, *self.edges, np.inf])
        self.levels = tuple(f"({low:.4g}, {high:.4g}]" for low, high in ends)

    def of(self, attributes):
        own = _alike(attributes[self.name], True)
        code = np.searchsorted(self.edges, np.nan_to_num(own), side="left")
        return np.where(_known(own), code, -1), np.ones(len(own))


class _Even:
    """Rows by how many standard deviations a number, or its log, is from the mean."""

    even = True
    levels = ("per deviation",)

    def __init__(self, name, values):
        self.name = name
        seen = values[_known(values)]
        self.logs = bool(seen.min() > 0 and seen.max() > WIDE * seen.min())
        seen = np.log(seen) if self.logs else seen
        self.low, self.high = seen.min(), seen.max()
        self.centre, self.spread = seen.mean(), seen.std()

    def of(self, attributes):
        own = _alike(attributes[self.name], True)
        known = _known(own)
        if self.logs:
            own = np.log(np.where(own > 0, own, np.exp(self.low)))
        own = np.clip(own, self.low, self.high)  # no further out than was seen
        return np.where(known, 0, -1), np.where(known, (own - self.centre) / self.spread, 0.0)


class _Pair:
    """Rows by two groupings at once."""

    even = False

    def __init__(self, first, second, attributes):
        self.first, self.second = first, second
        self.name = f"{first.name} x {second.name}"
        codes = self._both(attributes)
        self.seen = np.unique(codes[codes >= 0])
        pairs = (divmod(code, len(second.levels)) for code in self.seen.tolist())
        self.levels = tuple((first.levels[a], second.levels[b]) for a, b in pairs)

    def _both(self, attributes):
        a, b = (each.of(attributes)[0] for each in (self.first, self.second))
        return np.where((a >= 0) & (b >= 0), a * len(self.second.levels) + b, -1)

    def of(self, attributes):
        own = self._both(attributes)
        place = np.minimum(np.searchsorted(self.seen, own), len(self.seen) - 1)
        return np.where(self.seen[place] == own, place, -1), np.ones(len(own))


def _groupings(attributes):
    """What rows may be grouped by, the fewest levels first."""
    found = []
    for name, values in attributes.items():
        known = _known(values)
        number = len(np.unique(_labels(values)[known]))
        if number < 2:
            continue
        repeated = known.sum() >= (1 + LEAST_REPEATED) * number
        if is_numeric(values):
            found.append(_Even(name, values))
            if number >= FEWEST_FOR_BINS:
                found.append(_ByRange(name, values))
        if repeated:
            found.append(_ByLabel(name, values))
    return sorted(found, key=lambda each: len(each.levels))


def label_groupings(attributes):
    """What rows may be grouped by, into levels with rows of their own, the fewest first."""
    return [each for each in _groupings(attributes) if not each.even]


class _Rows:
    """Totals of rows, and how sure they are of their level."""

    def __init__(self, total, exposure, count, linear, square):
        self.total, self.exposure = total, exposure
        self.linear, self.square, self.count = linear, square, count

    @classmethod
    def of(cls, portfolio, groupings):
        """Rows of a portfolio that have observations; groupings may tell their noise."""
        exposures, observations = portfolio.exposures(), portfolio.observations
        total, exposure = portfolio.totals()
        count = portfolio.counts
        rate = total / np.maximum(exposure, LEAST_VARIANCE)
        mean = rate[:, None] * exposures
        away = np.where(portfolio.mask, observations - mean, 0.0)
        used = (count > 1) & (total > 0)
        size = total[used] / count[used]  # outcomes of rows by themselves
        unit = float(np.median((total / np.maximum(count, 1))[total > 0])) if total.any() else 1.0
        zeros = (observations == 0).sum() / max(count.sum(), 1)
        least = 1.0 if portfolio.integer else unit * (LEAST_NOISE + zeros / 2)
        square = np.zeros(len(total))
        if used.any():
            degrees = count[used] - 1
            relative = (away[used] ** 2).sum(axis=1) / size**2 - degrees * least / size
            worth = 1 / (1 + least / size)
            parts = [each.of(portfolio.attributes)[0] for each in groupings]
            square = _noise_of_rows(worth * relative, worth * degrees, used, parts)
        return cls(total, exposure, count, least, square)

    def take(self, rows):
        parts = (self.total, self.exposure, self.count)
        return _Rows(*(each[rows] for each in parts), self.linear, self.square[rows])

    def first_levels(self):
        """Log levels, each pulled a little to the usual one."""
        sold = self.total > 0
        usual = np.median(self.total[sold] / self.exposure[sold])
        pull = PULL * self.exposure / np.maximum(self.count, 1)
        return np.log((self.total + pull * usual) / (self.exposure + pull))

    def precision(self, levels):
        """What rows know of their log levels; 0 of an empty one."""
        mean = np.maximum(self.exposure * np.exp(levels), LEAST_VARIANCE)
        count = np.maximum(self.count, 1)
        noise = self.linear / mean + self.square / count
        return np.where(self.count > 0, 1 / noise, 0.0)

    def linearised(self, centre, variance):
        """What rows say of their log levels, around the likeliest ones, and its precision."""
        levels = self.levels
        for _ in range(N_STEPS):
            own = self.precision(levels)
            said = levels + self._step(levels)
            pull = 1 / max(variance, 1e-3)
            levels = (own * said + pull * centre) / (own + pull)
        self.levels = levels
        return levels + self._step(levels), self.precision(levels)

    def _step(self, levels):
        mean = np.maximum(self.exposure * np.exp(levels), LEAST_VARIANCE)
        return np.clip(self.total / mean - 1, -1.0, LARGEST_STEP)


def _noise_of_rows(squares, degrees, used, parts):
    """Squared relative noise of rows, by the labels that tell it best, if any do; (n,).

    Parameters
    ----------
    squares, degrees : ndarray of shape (k,)
        What rows that are ``used`` tell of it, and how many degrees of freedom that is.

    parts : list of ndarray of int of shape (n,)
        Codes of rows, -1 for none.
    """
    common = max(LEAST_VARIANCE, float(squares.sum() / degrees.sum()))
    best, found = CONVINCING, np.full(len(used), common)
    for codes in parts:
        own, among = codes[used], codes >= 0
        size = int(codes.max(initial=-1)) + 1
        total, freedom = (
            np.bincount(own[own >= 0], x[own >= 0], minlength=size) for x in (squares, degrees)
        )
        noise = (total + SHRUNK * common) / (freedom + SHRUNK)
        noise = np.maximum(noise, LEAST_VARIANCE)
        seen = np.maximum(total, 0.0)
        gain = 0.5 * (freedom * np.log(common / noise) + seen / common - seen / noise).sum()
        if gain > best:
            best, found = gain, np.where(among, noise[codes] if size else common, common)
    return found


class AttributeEffects:
    """Effects of attributes on levels of rows, as rows of `fit` tell them.

    Parameters
    ----------
    portfolio : Portfolio
        With attributes; at its conditions, of a table in time.

    Attributes
    ----------
    used : bool
        Whether attributes tell anything of levels.

    told : tuple of AttributeEffect
        Of the attributes that do.
    """

    def __init__(self, portfolio):
        self.parts, self.own, self.told = [], 0.0, ()
        rows = np.flatnonzero(portfolio.counts > 0)
        if not portfolio.attributes or len(rows) < FEWEST_ROWS:
            return
        attributes = {name: values[rows] for name, values in portfolio.attributes.items()}
        groupings = _groupings(attributes)
        self.rows = _Rows.of(portfolio.take(rows), [each for each in groupings if not each.even])
        if not self.rows.total.any():
            return
        self.rows.levels = self.rows.first_levels()
        tried = [_Part(each, attributes) for each in groupings]
        parts = self._fitted(tried)
        pairs = _pairs(tried, attributes, len(rows) // 2)
        if pairs:
            parts = self._fitted([*parts, *pairs], dict.fromkeys(pairs, OF_A_PAIR))
        self.parts = parts
        self.told = tuple(part.told() for part in parts)
        del self.rows
        for part in parts:
            part.forget()

    @property
    def used(self):
        return bool(self.parts)

    def _fitted(self, parts, needed=None):
        """Parts that gain enough beside each other, with their effects."""
        needed = needed or {}
        while True:
            self._fit(parts)
            kept = [each for each in parts if each.gain > needed.get(each, CONVINCING)]
            if len(kept) == len(parts):
                return parts
            if kept and len(kept) < len(parts) - 1:  # the least one goes first
                last = min(parts, key=lambda each: each.gain - needed.get(each, CONVINCING))
                kept = [each for each in parts if each is not last]
            parts = kept

    def _fit(self, parts):
        """Variances and effects of parts, in turn."""
        rows, own = self.rows, max(float(np.var(self.rows.levels)), 1e-3)
        for part in parts:
            part.reset()
        centre = np.full(len(rows.total), rows.levels.mean())
        left = np.zeros(len(rows.total))
        for _ in range(N_OUTER):
            said, precision = rows.linearised(centre, own)
            for _ in range(N_SWEEPS):
                weight = 1 / (1 / precision + own)
                most = FAR / weight**0.5
                weight = weight * np.minimum(1, most / np.maximum(np.abs(left), LEAST_VARIANCE))
                others = sum((part.of_rows() for part in parts), np.zeros(len(said)))
                common = (weight * (said - others)).sum() / weight.sum()
                left = said - common - others
                for part in parts:
                    left = part.renewed(left, weight)
                freedom = 1 + sum(part.freedom for part in parts)
                own = _variance_of(np.clip(left, -most, most), precision, freedom)
            centre = said - left
        self.own = own

    def at(self, portfolio):
        """The same rows with what their attributes tell of their levels, and how surely."""
        if not self.parts:
            return portfolio
        offset, variance = np.zeros(len(portfolio)), np.zeros(len(portfolio))
        cold = portfolio.counts == 0
        for part in self.parts:
            effect, doubt = part.found(portfolio.attributes, cold)
            offset, variance = offset + effect, variance + doubt
        offset = np.clip(offset, -MOST_EFFECT, MOST_EFFECT)
        return portfolio.with_offset(offset, np.sqrt(variance))


def _pairs(parts, attributes, most):
    """Pairs of the attributes that gain most by themselves, of so many levels at most."""
    labels = [part for part in parts if not part.grouping.even]
    labels = sorted(labels, key=lambda part: -part.gain)[:MOST_OF_PAIR]
    found = [
        _Part(_Pair(a.grouping, b.grouping, attributes), attributes)
        for a, b in combinations(labels, 2)
        if a.grouping.name != b.grouping.name and len(a.grouping.levels) <= most
    ]
    return [part for part in found if 1 < len(part.grouping.levels) <= most]


class _Part:
    """Effects of one grouping."""

    def __init__(self, grouping, attributes):
        self.grouping = grouping
        self.codes, self.factor = grouping.of(attributes)
        self.known = self.codes >= 0
        self.n_levels = len(grouping.levels)
        self.n_rows = np.bincount(self.codes[self.known], minlength=self.n_levels)
        self.reset()

    def reset(self):
        self.effects, self.precision = np.zeros(self.n_levels), np.zeros(self.n_levels)
        self.variance, self.gain, self.freedom = 0.0, 0.0, 0.0

    def forget(self):
        """Leave rows of fit behind."""
        del self.codes, self.factor, self.known

    def of_rows(self):
        """Effects of the rows of fit, none where not known."""
        return np.where(self.known, self.effects[self.codes] * self.factor, 0.0)

    def renewed(self, left, weight):
        """What is left of rows' levels once the effects are taken anew from it."""
        left = left + self.of_rows()
        worth = np.where(self.known, weight * self.factor, 0.0)
        codes = np.where(self.known, self.codes, 0)
        precision = np.bincount(codes, worth * self.factor, minlength=self.n_levels)
        total = np.bincount(codes, worth * left, minlength=self.n_levels)
        mean = np.divide(total, precision, out=np.zeros_like(total), where=precision > 0)
        used = (precision > 0) & (self.n_rows > 1)  # one row tells nothing of others
        tried = VARIANCES[:, None] + 1 / precision[used]
        fit = -0.5 * (np.log(tried) + mean[used] ** 2 / tried).sum(axis=1)
        best = int(np.argmax(fit))
        self.variance, self.gain = VARIANCES[best], fit[best] - fit[0]
        self.precision = precision
        trust = self._trust(precision)
        self.effects, self.freedom = trust * mean, trust.sum()
        if not self.grouping.even and self.variance > 0:
            self.effects -= self.effects[precision > 0].mean()  # which is that of all rows
        return left - self.of_rows()

    def _trust(self, precision):
        return precision * self.variance / (precision * self.variance + 1)

    def found(self, attributes, cold):
        """Effects of rows and their variances; ``(n,)`` each.

        Rows with observations are taken for rows of `fit`, which told a part of the effect
        themselves: that part is taken out, on average, as it would count twice. So a row that is
        a level of its own has no effect.
        """
        codes, factor = self.grouping.of(attributes)
        known = codes >= 0
        others = self.precision * (1 - 1 / np.maximum(self.n_rows, 1))
        full, partly = self._trust(self.precision), self._trust(others)
        part = np.divide(partly, full, out=np.zeros_like(full), where=full > 0)
        effects = np.where(cold, self.effects[codes], (self.effects * part)[codes])
        left = self.variance * (1 - np.where(cold, full[codes], partly[codes]))
        effects = np.where(known, effects * factor, 0.0)
        return effects, np.where(known, left * factor**2, self.variance)

    def told(self):
        trust = self._trust(self.precision)
        return AttributeEffect(
            self.grouping.name,
            self.grouping.levels,
            self.effects,
            np.sqrt(self.variance * (1 - trust)),
            self.n_rows,
            float(np.sqrt(self.variance)),
            float(self.gain),
        )


def _variance_of(left, precision, freedom):
    """Variance of rows' own deviations, by likelihood; what was fitted takes degrees of freedom."""
    n = len(left)
    larger = n / max(n - freedom, 1.0)
    scores = [
        -0.5 * (np.log(v + 1 / precision) + larger * left**2 / (v + 1 / precision)).sum()
        for v in np.maximum(VARIANCES, LEAST_VARIANCE)
    ]
    return float(np.maximum(VARIANCES, LEAST_VARIANCE)[int(np.argmax(scores))])
