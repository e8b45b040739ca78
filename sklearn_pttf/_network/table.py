"""A table as networks read it: contexts of its rows, and what makes laws agree with it."""

from sklearn_pttf._network.reading import (
    context_arrays,
    context_from_arrays,
    encode_context,
    predict_law,
    predict_laws_at,
)


class ReadTable:
    """A table that networks have read: laws of later rows beside it.

    Networks are not pickled with it: `attach` them anew.

    Parameters
    ----------
    networks : list of DecisionNetwork
        One, or two whose laws are averaged.

    portfolio : Portfolio
        The context.

    agrees : bool, default=True
        Whether laws are made to agree with the table, where the kind knows how.
    """

    def __init__(self, networks, portfolio, agrees=True):
        self.networks = networks
        self.contexts = [encode_context(network, portfolio) for network in networks]
        self.agreement = None
        if agrees:
            self.agreement = networks[0].kind.agreement(self.network_law, portfolio)

    @property
    def of_means(self):
        """Whether networks give laws of rows' means too."""
        return all(network.kind.of_means for network in self.networks)

    @property
    def by_label(self):
        """Whether rows of a label may be read alone: not for laws that are exact over periods."""
        return not any(network.kind.of_means or network.kind.priced for network in self.networks)

    def network_law(self, portfolio, of_mean=False):
        """Laws of outcomes, or of means, as the networks give them."""
        return self._between(predict_law, portfolio, of_mean)

    def law(self, portfolio):
        """Laws of outcomes, in agreement with the table."""
        law = self.network_law(portfolio)
        return law if self.agreement is None else self.agreement.law(law, portfolio)

    def laws_at(self, portfolio, prices):
        """Laws of demand at prices ``(n, k)``, those of one row after each other."""
        return self._between(predict_laws_at, portfolio, prices)

    def _between(self, predict, *args):
        pairs = zip(self.networks, self.contexts, strict=True)
        laws = [predict(network, context, *args) for network, context in pairs]
        return blended(*laws) if len(laws) > 1 else laws[0]

    def attach(self, networks):
        """Read on with networks that were built anew, after a pickle."""
        pairs = zip(self.contexts, networks, strict=True)
        self.networks, self.contexts = networks, [context_from_arrays(*each) for each in pairs]

    def __getstate__(self):
        state = {key: value for key, value in vars(self).items() if key != "networks"}
        return {**state, "contexts": [context_arrays(context) for context in self.contexts]}


def blended(left, right):
    """The law between two: its quantiles are the means of theirs."""
    known = left.means is not None and right.means is not None
    means = (left.means + right.means) / 2 if known else None
    return left.with_quantiles((left.quantiles + right.quantiles) / 2, means)
