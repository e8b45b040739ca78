"""The strategy that the rows ask for."""

from numbers import Real

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from sklearn_pttf.finetune._full import FullFinetune

FEW_ROWS = 150
CONFLICT_ROWS = 12  # over the number of rows: the p-value below which the law may be wrong
MOST_CONFLICT = 0.4


class AutoFinetune(BaseEstimator):
    """Choose how to finetune by the number of rows, and by how well the pretrained law fits them.

    From 150 rows on all weights are trained. Below that nothing is, unless something hints at a
    pretrained law that is wrong: what training gains on a few rows of a world that the prior knows
    is less than what can be told from chance, but on a world that it does not know it is a lot.

    A hint is a p-value below 12 over the number of rows (0.4 of 30 rows or fewer, 0.12 of 100, as a
    test of few rows cannot tell) in Neyman's smooth test of the probability integral transforms of
    held-out observations; ``finetune_report_["prior_conflict"]`` is that p-value. Whether what was
    trained is used, its cost on rows that it was not trained on says.

    Parameters
    ----------
    max_seconds : float, default=None
        Time after which no further epoch of a fold begins, in seconds. None: no limit.

    baselines : bool, default=True
        Whether a classical baseline may be used instead, where it is cheaper.

    See Also
    --------
    FullFinetune : What it chooses.

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

    def choose(self, n_rows, conflict):
        """The strategy for a number of rows that can be charged, None for no training.

        Parameters
        ----------
        n_rows : int

        conflict : float
            p-value of the pretrained law on held-out observations.

        Returns
        -------
        FinetuneStrategy or None
        """
        if n_rows < FEW_ROWS and conflict >= min(CONFLICT_ROWS / n_rows, MOST_CONFLICT):
            return None
        return FullFinetune(max_seconds=self.max_seconds, baselines=self.baselines)
