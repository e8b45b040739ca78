"""The strategy that the rows ask for."""

from numbers import Real

from sklearn.base import BaseEstimator

from sklearn_pttf._utils.sklearn_private import Interval
from sklearn_pttf.finetune._base import FinetuneStrategy
from sklearn_pttf.finetune._full import FullFinetune

FEW_ROWS = 150
DOUBT_ROWS = 24  # over the number of rows: the p-value below which a law is in doubt
MOST_DOUBT = 0.8


def is_doubted(conflict, n_rows):
    """Whether a p-value of the pretrained law, on so few rows, hints that it may be wrong."""
    return conflict < min(DOUBT_ROWS / n_rows, MOST_DOUBT)


class AutoFinetune(FinetuneStrategy):
    """Choose how to finetune by the number of rows, and by how well the pretrained law fits them.

    From 150 rows on all weights are trained. Below that nothing is, unless something hints at a
    pretrained law that is wrong: what training gains on a few rows of a world that the prior knows
    is less than what can be told from chance, but on a world that it does not know it is a lot.

    A hint is a p-value below 24 over the number of rows (0.8 of 30 rows or fewer, 0.24 of 100, as a
    test of few rows cannot tell) in Neyman's smooth test of the probability integral transforms of
    held-out observations; ``finetune_report_["prior_conflict"]`` is that p-value, around 0.8 where
    the law is right. On later outcomes ``y`` such p-values are even between 0 and 1, and their
    power of 0.4 is what counts. Where such a law costs clearly more than what moments of the rows
    say, that is where training starts. Whether what was trained is used, its cost on rows that it
    was not trained on says.

    Parameters
    ----------
    max_seconds : float, default=None
        Time for training, in seconds: no further epoch begins after it. None: no limit.

    baselines : bool, default=True
        Whether a classical baseline may be used instead, where it is cheaper. None is where
        attributes tell rows' levels, which baselines do not read.

    See Also
    --------
    FullFinetune : What it chooses, and trains with if it is asked itself.

    Examples
    --------
    >>> from sklearn_pttf.finetune import AutoFinetune
    >>> AutoFinetune().choose(100, conflict=0.5) is None
    True
    >>> AutoFinetune().choose(100, conflict=1e-6)
    FullFinetune()
    """

    _parameter_constraints = {
        "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
        "baselines": ["boolean"],
    }

    def __init__(self, *, max_seconds=None, baselines=True):
        self.max_seconds = max_seconds
        self.baselines = baselines

    def choose(self, n_rows, conflict, moments_are_cheaper=False):
        """The strategy for a number of rows that can be charged, None for no training.

        Parameters
        ----------
        n_rows : int

        conflict : float
            p-value of the pretrained law on held-out observations, or 0.4th power of that on later
            outcomes.

        moments_are_cheaper : bool, default=False
            Whether the network costs clearly less if its last layer forgets what was learned.

        Returns
        -------
        FinetuneStrategy or None
        """
        if n_rows < FEW_ROWS and not is_doubted(conflict, n_rows):
            return None
        start = "moments" if moments_are_cheaper else "pretrained"
        return self._full(start)

    def _full(self, start="pretrained"):
        return FullFinetune(start=start, max_seconds=self.max_seconds, baselines=self.baselines)

    def prepare(self, network, generator):
        self._full().prepare(network, generator)

    def train(self, network, problem, data, training, validation, seed, device="cpu", prior=None):
        return self._full().train(network, problem, data, training, validation, seed, device, prior)

    def _validate_params(self):
        BaseEstimator._validate_params(self)  # there are no callbacks to look at
