"""What a backtest found: per row and origin, and in a table of one line a method."""

from dataclasses import dataclass, fields

import narwhals.stable.v2 as nw
import numpy as np

from sklearn_pttf.model_selection._transfer_curve import (
    mean_with_half_width,
    ratio_with_half_width,
)

POLICY = "policy"  # name of the rule of today
SAA = "SAA"
FEW_ORIGINS = 6  # below, an interval over origins says little
OF_CELLS = (
    *("cost", "decision", "promised", "forecast"),
    *("held", "missed", "left", "served", "in_stock"),
)
LARGEST_SHARE = 10.0  # that says anything
SAME = 1e-9  # relative difference of costs that are equal but for rounding
LABELS = {"estimator": "this estimator", POLICY: "today's rule"}  # of methods, in words


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """What decisions at earlier origins cost, by method, row and origin.

    Arrays of shape (n_methods, n, n_origins) are NaN where nothing came that could be charged.

    Attributes
    ----------
    methods : tuple of str
        "estimator", the names of the baselines, and "policy" if there is one.

    origins : ndarray of int of shape (n_origins,)
        How many periods were known.

    cost : ndarray of shape (n_methods, n, n_origins)
        In money.

    decision : ndarray of shape (n_methods, n, n_origins)
        What was decided, or ordered.

    promised : ndarray of shape (n_methods, n, n_origins)
        What the cost was expected to be when deciding. NaN for a policy, and where only some
        periods of a decision are charged.

    forecast : ndarray of shape (n_methods, n, n_origins)
        Expected outcome, to be compared with ``outcome``; NaN for a policy. Of all periods that a
        decision looks ahead: ``horizon`` of a `Newsvendor`, and of a `Replenishment` those until
        the next order is there, ``lead_time + review``, of which only the last ``review`` are
        charged.

    outcome : ndarray of shape (n, n_origins)
        What came in the periods that forecasts are of; where stock capped a sale, a draw from what
        demand may have been.

    charged_from, charged_to : ndarray of int of shape (n, n_origins)
        Numbers of the first and the last period that a decision is charged on, from 0. An order
        that comes ``lead_time`` periods later is charged from then on.

    periods : tuple of str, or None
        Names of all periods, those of the columns of observations; None where X has none.

    held, missed : ndarray of shape (n_methods, n, n_origins) or None
        The two parts of the cost: what is left over, and what is short. None, as the next four,
        where the problem is not about stock.

    left : ndarray of shape (n_methods, n, n_origins) or None
        Units left at the end of a period, on average over those that the decision is charged on.

    served : ndarray of shape (n_methods, n, n_origins) or None
        Units that were there when they were asked for.

    demand : ndarray of shape (n, n_origins) or None
        Units that were asked for, in the periods that are charged.

    in_stock : ndarray of shape (n_methods, n, n_origins) or None
        Share of these periods in which nothing was short.

    fit_time : ndarray of shape (n_methods, n_origins)
        Seconds to fit and decide; NaN for a policy.

    carries_stock : bool
        Whether stock was carried over from origin to origin.

    rows : ndarray of shape (n,)
        Labels of the rows: the index of X where it has one, tuples where it has several levels,
        or their positions.

    See Also
    --------
    backtest : Makes it.
    sklearn_pttf.inspection.BacktestDisplay : Draws it.
    """

    methods: tuple
    origins: np.ndarray
    cost: np.ndarray
    decision: np.ndarray
    promised: np.ndarray
    forecast: np.ndarray
    outcome: np.ndarray
    charged_from: np.ndarray
    charged_to: np.ndarray
    periods: tuple | None
    held: np.ndarray | None
    missed: np.ndarray | None
    left: np.ndarray | None
    served: np.ndarray | None
    demand: np.ndarray | None
    in_stock: np.ndarray | None
    fit_time: np.ndarray
    carries_stock: bool
    rows: np.ndarray

    def __repr__(self):
        n_rows, n_origins = self.cost.shape[1:]
        return (
            f"{type(self).__name__}(methods={self.methods}, n_rows={n_rows}, n_origins={n_origins})"
        )

    def total_cost(self):
        """Cost of all rows at every origin, in money; ndarray of shape (n_methods, n_origins)."""
        return np.nansum(self.cost, axis=1)

    def saving(self, against=SAA, *, in_money=False):
        """What every method saves against one of them, and its interval.

        Parameters
        ----------
        against : str, default="SAA"
            The method whose cost is 1.

        in_money : bool, default=False
            Whether savings are in money, of all rows and origins together: shares of what that
            method cost. False: the shares themselves.

        Returns
        -------
        saving : ndarray of shape (n_methods,)
            As a share NaN where that method costs nothing.

        half_width : ndarray of shape (n_methods,)
            Of the 95 % interval over origins, in which methods are paired; NaN of one origin.
        """
        total = self.total_cost()
        reference = np.broadcast_to(total[self._place(against)], total.shape)
        saving, half = ratio_with_half_width(reference - total, reference)
        if not in_money:
            return saving, half
        _, half = mean_with_half_width(
            reference - total - np.nan_to_num(saving)[:, None] * reference
        )
        return (reference - total).sum(axis=1), len(self.origins) * half

    def verdict(self, against=None):
        """What the estimator saves against another method, and how sure that is, in words.

        Parameters
        ----------
        against : str, default=None
            The other method. None: the cheapest one.

        Returns
        -------
        str
            A sentence. A difference is surely more than chance if its 95 % interval over origins,
            in which methods are paired, has one sign.
        """
        total, own = self.total_cost().sum(axis=1), LABELS[self.methods[0]]
        others = total[1:]
        if against is None and not len(others):
            return f"{as_sentence(own)} cost {as_money(total[0])}; nothing was compared with it."
        other = self._place(against) if against is not None else 1 + int(others.argmin())
        name = LABELS.get(self.methods[other], self.methods[other])
        if against is not None:
            first = name
        elif total[other] < total[0]:
            first = f"the cheapest method was {name}: it"
        else:
            first = f"no method was cheaper than {own}; next is {name}, which"
        largest = max(total[0], total[other])
        cost, own_cost = as_money(total[other], largest), as_money(total[0], largest)
        difference = self._difference(other, largest)
        return as_sentence(f"{first} cost {cost}, {own} {own_cost}: {difference}.")

    def _difference(self, other, largest):
        """What is saved or lost against a method, and how sure that is, in words."""
        name = self.methods[other]

        def money(value, of=None):
            return as_money(value, largest)

        saved, half = (float(each[0]) for each in self.saving(name, in_money=True))
        share, half_of_share = (float(each[0]) for each in self.saving(name))
        told = f"{_with_half(abs(saved), half, money)} {'saved' if saved >= 0 else 'lost'}"
        if abs(share) <= LARGEST_SHARE:
            percent = _with_half(100 * abs(share), 100 * half_of_share, _one_place)
            told = f"{told}, {percent} % of it"
        if np.isnan(half):
            return f"{told}; one origin does not tell whether that is chance"
        surely = abs(saved) > half
        return f"{told}, which {'is surely more than chance' if surely else 'may be chance'}"

    def worse_rows(self, against=POLICY):
        """Share of rows that cost more than by another method; ndarray of shape (n_methods,).

        Parameters
        ----------
        against : str, default="policy"
            The other method.
        """
        charged = ~np.isnan(self.cost[0]).all(axis=1)
        cost = np.nansum(self.cost[:, charged], axis=2)
        other = cost[self._place(against)]
        return (cost > other + SAME * np.abs(other)).mean(axis=1)

    def summary(self):
        """One line a method.

        Returns
        -------
        BacktestSummary
            A list of dicts, which ``pandas.DataFrame`` takes, and which prints as a table. Of
            each ``method``:

            - ``cost``: of all rows and origins, with ``cost_half_width`` of its 95 % interval;
            - ``promised``: what it was expected to be, and ``achieved_over_promised`` with a
              ``..._half_width``;
            - ``service_level``: share of periods (of a `Newsvendor`: of decisions) in which
              nothing was short;
            - ``fill_rate``: share of demand that was there when it was asked for;
            - ``average_stock``: units left at the end of a period, of a row, over the periods that
              are charged: those without an observation are left out, which
              `StockRecord.average_stock` counts;
            - ``bias``: forecasts less outcomes, as a share of the latter;
            - ``saving_over_SAA``, ``saving_over_policy``, each with a ``..._half_width``, if these
              are among the methods;
            - ``worse_than_policy``: share of rows that cost more than by the policy.

            NaN where something is not known.
        """
        total = self.total_cost()
        mean, half = mean_with_half_width(total)
        n_origins = len(self.origins)
        columns = {"cost": n_origins * mean, "cost_half_width": n_origins * half}
        columns |= self._of_promises() | self._of_stock()
        columns["bias"] = self._bias()
        for other in (SAA, POLICY):
            if other in self.methods:
                name = f"saving_over_{other}"
                columns[name], columns[f"{name}_half_width"] = self.saving(other)
        if POLICY in self.methods:
            columns["worse_than_policy"] = self.worse_rows()
        lines = [
            {"method": method, **{name: float(column[k]) for name, column in columns.items()}}
            for k, method in enumerate(self.methods)
        ]
        return BacktestSummary(lines, n_origins)

    def _of_promises(self):
        known = ~np.isnan(self.promised)
        promised = np.nansum(self.promised, axis=1)
        achieved = np.where(known, self.cost, 0.0).sum(axis=1)
        ratio, half = ratio_with_half_width(achieved, promised)
        return {
            "promised": np.where(known.any(axis=(1, 2)), promised.sum(axis=1), np.nan),
            "achieved_over_promised": ratio,
            "achieved_over_promised_half_width": half,
        }

    def _of_stock(self):
        nothing = np.full(len(self.methods), np.nan)
        if self.left is None:
            return dict.fromkeys(("service_level", "fill_rate", "average_stock"), nothing)
        with_demand = np.where(np.isnan(self.served), 0.0, self.demand).sum(axis=(1, 2))
        return {
            "service_level": np.nanmean(self.in_stock, axis=(1, 2)),
            "fill_rate": _ratio(np.nansum(self.served, axis=(1, 2)), with_demand),
            "average_stock": np.nanmean(self.left, axis=(1, 2)),
        }

    def _bias(self):
        outcome = np.broadcast_to(self.outcome, self.forecast.shape)
        known = ~np.isnan(self.forecast - outcome)
        over = np.where(known, self.forecast - outcome, 0.0).sum(axis=(1, 2))
        return _ratio(over, np.where(known, outcome, 0.0).sum(axis=(1, 2)))

    def to_frame(self):
        """One line for each method, row and origin.

        Returns
        -------
        pandas.DataFrame
            With columns ``method``, ``row``, ``origin``, ``charged_from``, ``charged_to``, and
            what this result holds of each.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        shape = self.cost.shape
        labels = {
            "method": np.array(self.methods)[:, None, None],
            "row": np.asarray(self.rows)[:, None],
            "origin": self.origins,
            "charged_from": self.charged_from,
            "charged_to": self.charged_to,
        }
        columns = {name: np.broadcast_to(each, shape) for name, each in labels.items()}
        columns |= {f.name: getattr(self, f.name) for f in fields(self) if f.name in OF_CELLS}
        columns |= {"outcome": self.outcome, "demand": self.demand}
        return pd.DataFrame(
            {
                name: np.broadcast_to(each, shape).ravel()
                for name, each in columns.items()
                if each is not None
            }
        )

    def _place(self, method):
        if method not in self.methods:
            raise ValueError(f"against must be one of {list(self.methods)}; got {method!r}.")
        return self.methods.index(method)


def _ratio(numerator, denominator):
    """NaN where the denominator is 0."""
    there = denominator != 0
    return np.where(there, numerator / np.where(there, denominator, 1.0), np.nan)


def row_labels(X):
    """The index of a frame, where it has one, or positions; ndarray of shape (n,)."""
    frame = nw.from_native(X, pass_through=True)
    index = nw.maybe_get_index(frame) if isinstance(frame, nw.DataFrame) else None
    return np.arange(len(X)) if index is None else np.asarray(index)


def as_sentence(text):
    """Text with a capital at its beginning."""
    return text[0].upper() + text[1:]


class BacktestSummary(list):
    """Lines of a backtest, one dict a method; it prints as a table.

    Parameters
    ----------
    lines : list of dict

    n_origins : int
    """

    def __init__(self, lines, n_origins):
        super().__init__(lines)
        self.n_origins = n_origins

    def __repr__(self):
        return self.text()

    def text(self):
        """The table; str."""
        header = [title for title, _ in columns_of_summary(self)]
        body = [[show(line) for _, show in columns_of_summary(self)] for line in self]
        widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
        rows = [
            "  ".join(
                cell.ljust(width) if k == 0 else cell.rjust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in [header, *body]
        ]
        return "\n".join([*rows, self.note()])

    def note(self):
        """What the intervals are of; str."""
        number = self.n_origins
        if number == 1:
            return "One origin only: nothing tells how far the figures are due to chance."
        note = f"± is half of a 95 % interval over {number} origins"
        return f"{note}, too few to trust it." if number < FEW_ORIGINS else f"{note}."


def columns_of_summary(lines):
    """Titles of columns, and how a line shows there."""
    columns = [
        ("method", lambda line: line["method"]),
        ("cost", lambda line: _pair(line, "cost", as_money)),
        ("promised", lambda line: _shown(line["promised"], as_money)),
        ("achieved/promised", lambda line: _pair(line, "achieved_over_promised", _plain)),
        ("service", lambda line: _shown(line["service_level"], _percent)),
        ("fill rate", lambda line: _shown(line["fill_rate"], _percent)),
        ("stock", lambda line: _shown(line["average_stock"], "{:,.2f}".format)),
        ("bias", lambda line: _shown(line["bias"], _signed)),
    ]
    for other in (SAA, POLICY):
        name = f"saving_over_{other}"
        if lines and name in lines[0]:
            columns.append(
                (f"saving vs {other}", lambda line, name=name: _pair(line, name, _signed))
            )
    if lines and "worse_than_policy" in lines[0]:
        columns.append(
            ("rows worse than policy", lambda line: _shown(line["worse_than_policy"], _percent)),
        )
    return columns


def as_money(value, of=None):
    """An amount of money, in as many places as one ``of`` the same column."""
    of = value if of is None else of
    return f"{value:,.0f}" if abs(of) >= 100 else f"{value:,.2f}"


def _one_place(value, of=None):
    return f"{value:.1f}"


def _plain(value, of=None):
    return f"{value:.3f}"


def _percent(value):
    return f"{100 * value:.1f} %"


def _signed(value, of=None):
    if abs(value) > LARGEST_SHARE:  # of next to nothing
        return f"{'>' if value > 0 else '< -'} {100 * LARGEST_SHARE:.0f} %".replace("- ", "-")
    return f"{100 * value:+.1f} %"


def _shown(value, show):
    return "-" if np.isnan(value) else show(value)


def _pair(line, name, show):
    """A figure with half of its interval."""
    return _with_half(line[name], line[f"{name}_half_width"], show)


def _with_half(value, half, show):
    if np.isnan(value) or np.isnan(half):
        return _shown(value, show)
    return f"{show(value)} ± {show(half, value).lstrip('+')}"
