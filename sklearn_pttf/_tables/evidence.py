"""What is known of instances, and how each part of it goes along with rows, cells and time."""

from dataclasses import KW_ONLY, dataclass, field, fields, replace

import numpy as np

from sklearn_pttf._utils.checks import describe_rows
from sklearn_pttf._utils.frames import unmasked


def per_row(flat=False, least=None, **more):
    """A field with one entry a row, or a dict of such; scalars are of all rows.

    Parameters
    ----------
    flat : bool, default=False
        Whether an entry is one number, and not several.

    least : float, default=None
        What no entry is below.
    """
    if "default_factory" not in more:
        more = {"default": None, **more}
    return field(metadata={"along": "row", "flat": flat, "least": least}, **more)


def per_cell(coming=None, usual=None, flat=False, least=None, **more):
    """A field with one entry an observation cell.

    Parameters
    ----------
    coming : str, default=None
        Name of the field, of one entry a row, that is the same of the next outcome.

    usual : str, default=None
        Name of the method that fills that one in where nothing is told. None: it stays missing.

    flat, least
        As of `per_row`.
    """
    about = {"along": "cell", "coming": coming, "usual": usual, "flat": flat, "least": least}
    return field(metadata=about, **more)


@dataclass(frozen=True, eq=False, repr=False)
class Evidence:
    """What is known of N instances, as arrays or as tensors that have leading axes more.

    Each field says by `per_row` or `per_cell` how it goes along, so that rows are taken,
    observations held out and tensors made in one place. Where nothing is known a field is None.
    What fields mean is said by `Portfolio`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._tables.evidence import Evidence
    >>> evidence = Evidence(np.array([[3.0, 1.0], [2.0, 5.0]]), prices=np.array([[4.0, 9], [4, 8]]))
    >>> held, outcomes = evidence.held_out(np.array([1, -1]))
    >>> held.observations.tolist(), held.prices.tolist(), held.posted.round(2).tolist()
    ([[3.0, nan], [2.0, 5.0]], [[4.0, nan], [4.0, 8.0]], [9.0, 5.66])
    """

    observations: np.ndarray = per_cell(flat=True)  # (n, m), NaN = not observed
    _: KW_ONLY
    errors: np.ndarray = per_row(flat=True, least=0)  # (n,)
    prices: np.ndarray = per_cell("posted", "posted_prices", True, 0, default=None)  # (n, m)
    # (n,), or (n, k) where networks are asked about several
    posted: np.ndarray = per_row(flat=True, least=0)
    usual: np.ndarray = per_row(flat=True, least=0)  # (n,)
    exposure: np.ndarray = per_cell("coming", "coming_exposure", True, 0, default=None)  # (n, m)
    coming: np.ndarray = per_row(flat=True, least=0)  # (n,)
    stock: np.ndarray = per_cell(flat=True, least=0, default=None)  # (n, m), NaN = never short
    drivers: np.ndarray = per_cell("planned", default=None)  # (n, m, d)
    planned: np.ndarray = per_row()  # (n, h, d), one for each period that is decided for
    doubt: np.ndarray = per_row(flat=True, least=0)  # (n,)
    conditions: np.ndarray = per_row(flat=True, least=0)  # (n,)
    ahead: np.ndarray = per_row(least=0)  # (n, h), conditions of each coming period
    ahead_doubt: np.ndarray = per_row(least=0)  # (n, h), as ``doubt``
    offset: np.ndarray = per_row(flat=True)  # (n,), of log levels, by attributes
    offset_doubt: np.ndarray = per_row(flat=True, least=0)  # (n,)

    def __len__(self):
        return len(self.observations)

    @property
    def mask(self):
        """True where observed; bool ndarray of shape (n_instances, n_observations)."""
        return ~np.isnan(self.observations)

    @property
    def counts(self):
        """Number of observations of each instance; int ndarray of shape (n_instances,)."""
        return self.mask.sum(axis=1)

    def of_period(self, k):
        """The same instances, whose next outcome is that of the k-th coming period alone."""
        if self.ahead is None:
            return self
        ahead, doubt = self.ahead[:, k], self.ahead_doubt[:, k]
        return replace(self, coming=self.coming_units() * ahead, conditions=ahead, doubt=doubt)

    # -- written once, for all fields

    def known(self, along=None):
        """Fields that there are, or those along ``"row"`` or ``"cell"``; dict by name."""
        names = [each.name for each in fields(self) if _goes(each, along)]
        found = {name: getattr(self, name) for name in names}
        return {name: values for name, values in found.items() if values is not None}

    def map(self, change, along=None):
        """The same with ``change`` of every field that there is."""
        return replace(self, **{k: _each(change, v) for k, v in self.known(along).items()})

    def take(self, rows):
        """The evidence of some rows (a slice or indices), sharing memory where it can."""
        return self.map(lambda values: values[rows] if np.ndim(values) else values)

    def of_cells(self, cells):
        """The same instances with some of their cells.

        Parameters
        ----------
        cells : ndarray of int of shape (n_instances, k)
            Columns; below 0 an empty cell.
        """

        def some(values):
            at = cells.reshape(cells.shape + (1,) * (values.ndim - 2))
            return np.where(at >= 0, np.take_along_axis(values, np.maximum(at, 0), axis=1), np.nan)

        return self.map(some, along="cell")

    def held_out(self, cells, demand=None):
        """The same instances without some observations, and these; NaN where nothing was held out.

        Parameters
        ----------
        cells : ndarray of int of shape (n_instances,)
            The cell of every row that is held out; below 0 is none. The next outcome comes with
            what is held out: its price, its exposure.

        demand : ndarray of shape (n_instances, n_observations), default=None
            What outcomes are instead of observations, where stock capped these.

        Returns
        -------
        evidence : Evidence
            Of the same class.

        outcomes : ndarray of shape (n_instances, 1)
        """
        cells = self._cells_of_rows(cells)
        rows = np.flatnonzero(cells >= 0)
        at, changed = (rows, cells[rows]), {}
        outcomes = np.full((len(self), 1), np.nan)
        outcomes[rows, 0] = (self.observations if demand is None else demand)[at]
        for name, values in self.known("cell").items():
            coming = self._coming(name)
            if coming is not None:
                changed[coming[0]] = _with_rows(coming[1], rows, values[at])
            changed[name] = values.copy()
            changed[name][at] = np.nan
        return replace(self, **changed), outcomes

    def before(self, origin, horizon):
        """What was known before a period, with the next ones as those that are decided for.

        Parameters
        ----------
        origin : int
            Column of the first period that is not known.

        horizon : int
            Number of periods from there, of whose conditions all is known.
        """
        changed = {}
        for name, values in self.known("cell").items():
            coming = self._coming(name)
            if coming is not None:
                after = values[:, origin : origin + horizon]
                flat = np.ndim(coming[1]) < after.ndim
                changed[coming[0]] = after.mean(axis=1) if flat else after
            changed[name] = values[:, :origin]
        return replace(self, **changed)

    def with_observations(self, observations):
        """The same instances with other observations.

        Columns beyond those there are come with what the next outcome comes with, or of what is
        known of several coming periods, with these in turn, and the last one again after them.
        """
        observations = as_numbers(observations, "observations")
        if observations.ndim != 2 or len(observations) != len(self):
            raise ValueError(
                f"observations must be 2-D with {len(self)} rows, as there are; got shape "
                f"{observations.shape}."
            )
        changed, width = {"observations": observations}, observations.shape[1]
        for name, values in self.known("cell").items():
            coming = self._coming(name)
            if coming is not None:
                n_new = max(0, width - values.shape[1])
                periods = coming[1] if np.ndim(coming[1]) == values.ndim else coming[1][:, None]
                new = periods[:, np.minimum(np.arange(n_new), periods.shape[1] - 1)]
                changed[name] = np.hstack([values, new])[:, :width]
            elif name != "observations":  # of new cells nothing is known
                unknown = np.full((len(self), max(0, width - values.shape[1])), np.nan)
                changed[name] = np.hstack([values, unknown])[:, :width]
        return replace(self, **changed)

    def _cells_of_rows(self, cells):
        """One column a row, below 0 for none; others are refused."""
        cells, n_cells = np.asarray(cells), self.observations.shape[1]
        if cells.shape != (len(self),) or cells.dtype.kind not in "iu":
            raise ValueError(
                f"cells must be whole numbers of shape ({len(self)},), one a row; got "
                f"{cells.dtype} of shape {cells.shape}."
            )
        if (cells >= n_cells).any():
            beyond = describe_rows(cells >= n_cells, cells)
            raise ValueError(f"cells must be below {n_cells}, their number; got {beyond}.")
        return cells

    def _settled(self):
        """Fields as arrays, by name, those that are not so yet.

        Raises
        ------
        ValueError
            If a field does not go along with rows or cells as it says.
        """
        changed = {}
        for about in fields(self):
            value = getattr(self, about.name)
            if value is None or not _goes(about, None):
                continue
            if isinstance(value, dict):
                settled = {k: _of_rows(about.name, k, v, len(self)) for k, v in value.items()}
                if all(settled[name] is value[name] for name in value):
                    settled = value
            else:
                settled = _as_array(about, value, self.observations)
            if settled is not value:
                changed[about.name] = settled
        return changed

    def _coming(self, name):
        """What is coming of a field along cells: its name, and values; None of none."""
        about = self.__dataclass_fields__[name].metadata
        if about["coming"] is None:
            return None
        if about["usual"] is not None:
            return about["coming"], getattr(self, about["usual"])()
        told, like = getattr(self, about["coming"]), getattr(self, name)
        return about["coming"], np.full_like(like[:, 0], np.nan) if told is None else told

    # -- prices

    def usual_prices(self):
        """Geometric mean of every row's prices; ``usual`` where it has none, NaN without."""
        seen = ~np.isnan(self.prices)
        count = seen.sum(axis=1)
        logs = np.log(np.where(seen, self.prices, 1.0)).sum(axis=1) / np.maximum(count, 1)
        otherwise = self.posted if self.usual is None else self.usual
        return np.where(count > 0, np.exp(logs), np.nan if otherwise is None else otherwise)

    def told_prices(self):
        """Prices as networks read them: rows that have had none have their usual one instead."""
        cold = np.isnan(self.prices).all(axis=1, keepdims=True)
        return np.where(cold, self.usual_prices()[:, None], self.prices)

    def posted_prices(self):
        """Price at which every row's next outcome is made: posted, else its usual one."""
        usual = self.usual_prices()
        if self.posted is None:
            return usual
        return np.where(np.isnan(self.posted), usual, self.posted)

    def at_price(self, posted):
        """The same instances, whose next outcomes are made at other prices ``(n_instances,)``.

        Their usual prices stay: a price that is asked about says nothing of the row.
        """
        return replace(self, posted=posted, usual=self.usual_prices())

    # -- exposure

    def exposures(self):
        """What every observation was counted over, NaN where there is none; as observations."""
        exposure = 1.0 if self.exposure is None else self.exposure
        return np.where(self.mask, exposure, np.nan)

    def totals(self):
        """Sums of every row's observations and of their exposures; ``(n_instances,)`` each."""
        return np.nansum(self.observations, axis=1), np.nansum(self.exposures(), axis=1)

    @property
    def capped(self):
        """Whether each outcome is *at least* its observation; bool ndarray, None without stock."""
        return None if self.stock is None else self.observations >= self.stock

    def capped_at(self, cells):
        """Whether stock capped one cell of every row, below 0 is none; bool (n_instances,)."""
        if self.stock is None:
            return np.zeros(len(self), dtype=bool)
        return self.capped[np.arange(len(self)), cells] & (np.asarray(cells) >= 0)

    def coming_exposure(self):
        """What every row's next outcome is counted over; ndarray of shape (n_instances,).

        Where nothing tells it that is the mean of all exposures.
        """
        if self.coming is None:
            return np.ones(len(self))
        return np.where(np.isnan(self.coming), self.mean_exposure(), self.coming)

    # -- what attributes tell of levels

    def with_offset(self, offset, doubt):
        """The same rows, of whose log levels attributes tell something, and how surely."""
        return replace(self, offset=offset, offset_doubt=doubt)

    def without_offset(self):
        """The same rows as they would be if attributes told nothing of levels: all alike."""
        if self.offset is None:
            return self
        factor = np.exp(self.offset)[:, None]
        stock = None if self.stock is None else self.stock / factor
        return replace(
            self,
            observations=self.observations / factor,
            stock=stock,
            offset=None,
            offset_doubt=None,
        )

    def over_offset(self):
        """The same rows, with what attributes tell of levels as part of the exposure."""
        if self.offset is None:
            return self
        factor = np.exp(self.offset)
        exposure = 1.0 if self.exposure is None else self.exposure
        return replace(
            self,
            exposure=exposure * np.where(self.mask, factor[:, None], 1.0),
            coming=self.coming_exposure() * factor,
            offset=None,
            offset_doubt=None,
        )

    def coming_units(self):
        """What every row's next outcome is counted over, conditions aside; of shape (n_instances,).

        So a rate at these conditions is an outcome over that.
        """
        coming = self.coming_exposure()
        return coming if self.conditions is None else coming / self.conditions

    def mean_exposure(self):
        """Mean of the exposures of all observations, 1 where there is none."""
        seen = np.sort(self.exposures()[self.mask])
        return float(seen.mean()) if len(seen) else 1.0


def _goes(about, along):
    """Whether a field goes along rows or cells, or along those that are named."""
    of_field = about.metadata.get("along")
    return of_field is not None if along is None else of_field == along


def _with_rows(coming, rows, new):
    """A field of what is coming, of which some rows are new in all periods that it has."""
    coming = np.array(coming)
    n_periods = [1] * (coming.ndim - new.ndim)
    coming[rows] = new.reshape(len(new), *n_periods, *new.shape[1:])
    return coming


def as_numbers(values, name):
    """An array of floats; booleans stay what they are."""
    if isinstance(values, np.ndarray) and values.dtype.kind == "b":
        return values
    try:
        return np.asarray(unmasked(values), dtype=float)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be an array of numbers; got {values!r}.") from None


def _as_array(about, value, observations):
    """A field's values as an array that goes along with observations; a number is of all.

    What comes with no observation may be anything.
    """
    values, axes = as_numbers(value, about.name), observations.shape
    what = "one for each cell of observations"
    if about.metadata["along"] == "row":
        axes, what = axes[:1], "one for each row"
    if values.ndim == 0:
        values = np.full(axes, values)
    if values.shape[: len(axes)] != axes or (about.metadata["flat"] and values.ndim > len(axes)):
        raise ValueError(f"{about.name} must be of shape {axes}, {what}; got shape {values.shape}.")
    least = about.metadata["least"]
    if least is not None and (values < least).any():
        _refuse_below(values, least, about, observations)
    return values


def _refuse_below(values, least, about, observations):
    """Refuse values below what may be, but for cells without an observation."""
    below = values < least
    if about.metadata["along"] == "cell":
        below &= ~np.isnan(observations)
    rows = below.reshape(len(values), -1).any(axis=1)
    if rows.any():
        lowest = np.where(below, values, np.inf).reshape(len(values), -1).min(axis=1)
        shown = describe_rows(rows, lowest)
        raise ValueError(f"{about.name} must be at least {least}; got {shown}.")


def _of_rows(name, part, value, n_rows):
    """A part of a field that is a dict: one entry a row, or one for all."""
    if np.ndim(value) == 0:
        return value
    values = np.asarray(value)
    if len(values) != n_rows:
        raise ValueError(
            f"{part!r} of {name} must be one number or have {n_rows} entries, one for each row; "
            f"got shape {values.shape}."
        )
    return values


def _each(change, values):
    """``change`` of an array, or of each in a dict."""
    if isinstance(values, dict):
        return {name: change(value) for name, value in values.items()}
    return change(values)
