"""Laws of demand that agree with the table that they were made from.

A network may be wrong about a whole portfolio at once: about how many outcomes are zero, or about
how large they are on average, of which the table says more than any prior. Where the table is sure,
the shares of zeros of all rows, and then what is above zero, are moved together until sums over
rows agree: not at all within one standard error, and all but a small share from two on. Of whole
numbers, `PoissonCompanion` has a say beside.
"""

from sklearn_pttf._kinds.demand.capped_stack import CappedStack
from sklearn_pttf._kinds.demand.held_out import HeldOut, rows_to_compare
from sklearn_pttf._kinds.demand.recalibration import FEWEST_ROWS, Recalibration, ZerosByLevel
from sklearn_pttf._kinds.demand.stack import Stack
from sklearn_pttf._tables.completion import completed
from sklearn_pttf._tables.influence import typical_rows


class Agreement:
    """What is changed in the laws of a network of demand, so that they agree with their table.

    Parameters
    ----------
    predict : callable
        Maps a portfolio to the network's laws; `QuantileGrid`.

    portfolio : Portfolio
        The context.

    Attributes
    ----------
    recalibration : Recalibration

    stack : Stack, CappedStack or None
        With a companion: of whole numbers, or of sales that stock capped.
    """

    def __init__(self, predict, portfolio):
        sold, portfolio = portfolio, completed(portfolio, draw=True)
        capped = sold.stock is not None and sold.capped.any()
        some = portfolio.take(rows_to_compare(portfolio))
        self.recalibration, self.stack = Recalibration(), None
        if len(some) < FEWEST_ROWS:
            return
        law, zeros, turns = predict(some), None, []
        if portfolio.integer:
            turns = HeldOut.turns(predict, some)
            zeros = ZerosByLevel.of(law, turns)
        self.recalibration = Recalibration.of(law, some.observations, zeros)
        if capped:
            if sold.offset is None:  # rows of a label are known well enough by each other
                sold = sold.take(rows_to_compare(portfolio))
                self.stack = CappedStack(lambda part: self.recalibration.apply(predict(part)), sold)
        elif portfolio.integer:
            law, *laws = map(self.recalibration.apply, [law, *(turn.law for turn in turns)])
            turns = [turn._replace(law=each) for turn, each in zip(turns, laws, strict=True)]
            typical = portfolio.take(typical_rows(portfolio.without_offset()))
            self.stack = Stack(law, turns, some, typical)

    def law(self, law, portfolio):
        """Laws in place of the network's."""
        return self._stacked(self.recalibration.apply(law), portfolio)

    def _stacked(self, law, portfolio):
        return law if self.stack is None else self.stack.law(law, portfolio)

    def laws(self, laws, portfolios):
        """Laws in place of those of another network, which the first of them recalibrates.

        Parameters
        ----------
        laws : list of QuantileGrid

        portfolios : list of Portfolio
            Evidence that these were made from.
        """
        table = completed(portfolios[0], draw=True)
        rows = rows_to_compare(table)
        found = Recalibration.of(laws[0].take(rows), table.observations[rows])
        pairs = zip(laws, portfolios, strict=True)
        return [self._stacked(found.apply(law), portfolio) for law, portfolio in pairs]
