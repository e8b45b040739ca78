"""Warnings about data that break what decisions rest on."""

__all__ = [
    "BinaryOutcomesWarning",
    "DriftWarning",
    "FewPeriodsWarning",
    "LongFitWarning",
    "PartialPeriodsWarning",
    "PriorConflictWarning",
]


class BinaryOutcomesWarning(UserWarning):
    """All observations are 0 or 1, but the problem takes them for amounts of any size.

    Quantiles, intervals and orders may then lie beyond 1. Where outcomes are a yes or a no, or
    successes in trials, say so: ``Estimation(noise="binomial")``, or ``Selection``. Where they are
    amounts that have been small so far, nothing is wrong.

    Filter it with ``warnings.simplefilter("ignore", BinaryOutcomesWarning)``.
    """


class DriftWarning(UserWarning):
    """Later observations of most rows are higher, or lower, than earlier ones.

    Observations of a row are taken to be exchangeable. Under a trend, a season or after a change
    of price the next outcome is not like the past ones, and decisions lag behind. Use fewer and
    newer periods, or divide by a seasonal index before `fit` and multiply decisions by it. Nothing
    is finetuned on such rows, unless later periods ``y`` say that it pays.

    Filter it with ``warnings.simplefilter("ignore", DriftWarning)``.
    """


class FewPeriodsWarning(UserWarning):
    """The later outcomes ``y`` of `fit` are of too few periods, which decide nothing.

    Rows share what a period has of its own: a warm week, a holiday, a strike. However many rows
    there are, what one period says of finetuning may be that period only, and where rows do share
    shocks a few may be alike by chance. So observations of X that are held out decide instead,
    unless they drift. Give ``y`` more columns, one for each later period: four or more.

    Filter it with ``warnings.simplefilter("ignore", FewPeriodsWarning)``.
    """


class LongFitWarning(UserWarning):
    """Finetuning in `fit` will take more than a minute.

    It is told by the first epochs. ``verbose=1`` shows how far `fit` is, in place of this warning.
    ``finetune=None`` takes the pretrained weights as they are, and ``FullFinetune(max_seconds=60)``
    ends training after a minute.

    Filter it with ``warnings.simplefilter("ignore", LongFitWarning)``.
    """


class PartialPeriodsWarning(UserWarning):
    """The first or last period of a sales file is covered in part, and was left out by `from_long`.

    A file that ends on a Wednesday knows three days of its last week. Taken for a week, it
    would be one of low demand, and the newest one. ``partial="keep"`` keeps such periods.

    Filter it with ``warnings.simplefilter("ignore", PartialPeriodsWarning)``.
    """


class PriorConflictWarning(UserWarning):
    """Observations break what the predictive law takes for granted.

    The rows are unlike all that the network was pretrained on, and finetuning did not mend it.
    Many observations lie where the law, without them, says that hardly any do: mixed units,
    outliers, or a world that the prior leaves out. Or nearly all lie in its middle, or vary less
    than the Poisson counts that they are said to be: noise is quieter than the law allows. Or
    demand rises with price. `SyntheticPrior.transform` says which rows are odd, and a prior of
    one's own (``prior=SyntheticPrior().calibrated(X)``) may help.

    Filter it with ``warnings.simplefilter("ignore", PriorConflictWarning)``.
    """
