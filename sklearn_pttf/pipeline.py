"""A pipeline whose last step decides."""

import numpy as np
from sklearn import get_config
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.metadata_routing import process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sklearn_pttf._utils.output import as_column, as_frame, container_of

__all__ = ["DecisionPipeline", "make_decision_pipeline"]


def _last_step_has(method):
    """Check that the last step has a method; its own AttributeError says why not."""

    def check(self):
        getattr(self._final_estimator, method)
        return True

    return check


class DecisionPipeline(Pipeline):
    """A `sklearn.pipeline.Pipeline` that hands on `decide` and its kin to its last step.

    In everything else it is a stock Pipeline: parameters, caching, slices, `predict` and
    `score`. The methods below exist where the last step has them.

    Parameters
    ----------
    steps : list of (str, estimator) tuples
        Names and estimators. All but the last are transformers or ``"passthrough"``; the last
        one decides.

    transform_input : list of str, default=None
        Metadata of `fit` that is transformed as X is, on the way to the step that asks for it.
        Only with metadata routing.

    memory : str or object with the joblib.Memory interface, default=None
        Where fitted transformers are cached; the last step never is. None: nowhere.

    verbose : bool, default=False
        Whether `fit` prints how long every step takes.

    Attributes
    ----------
    named_steps : Bunch
        The steps by their names.

    n_features_in_ : int
        Number of columns that the first step saw during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns that the first step saw during `fit`, where it keeps them.

    See Also
    --------
    make_decision_pipeline : Finds names for the steps.
    sklearn_pttf.metrics.make_decision_scorer : Scores decisions, of stock Pipelines too.

    Notes
    -----
    scikit-learn routes metadata to methods that it knows, and `decide` is none of them. With
    metadata routing, metadata goes where that of `predict` goes: to the steps whose
    ``transform``, and to the last step if its ``predict``, asks for it. Without, it goes to
    the last step.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf.pipeline import DecisionPipeline
    >>> pipe = DecisionPipeline(
    ...     [("dozens", FunctionTransformer(lambda X: X / 12)), ("saa", SampleAverage())]
    ... )
    >>> X = np.array([[36, 60, 48], [0, 12, 0]])
    >>> pipe.fit(X).decide(X)
    array([4., 0.])
    """

    @available_if(_last_step_has("decide"))
    def decide(self, X, *, problem=None, return_info=False, **params):
        """Best decision for every row, by the last step on the transformed X.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)
            The instances, with the columns that `fit` saw.

        problem : DecisionProblem, default=None
            Another problem to decide, without a refit. Its columns are those of the transformed
            X. None: the problem of `fit`.

        return_info : bool or "frame", default=False
            Whether to give also what the decisions are expected to cost, and whether as a data
            frame.

        **params : dict of str to object
            Metadata; see the Notes of the class.

        Returns
        -------
        decisions : ndarray or Series of shape (n_instances,)
            In units of the outcome, as the last step sees it. A Series if X is a data frame, in
            pandas with its index, unless `set_output` says otherwise.

        info : Bunch or data frame
            Only if ``return_info``; as the last step gives it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        """
        last = self._final_estimator
        seen, params = self._before_last_step(X, params)
        found = last.decide(seen, problem=problem, return_info=return_info, **params)
        decisions, *info = found if return_info else (found,)
        # a step before the last may have made an array of the frame
        decisions = as_column(X, np.asarray(decisions), "decision", container_of(last))
        if isinstance(return_info, str):
            columns = {name: info[0][name].to_numpy() for name in info[0].columns}
            info = [as_frame(X, columns, container_of(last))]
        return (decisions, *info) if return_info else decisions

    def set_output(self, *, transform=None, decide=None):
        """Set what `transform` and `decide` give their results as.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Of all steps that transform, as in `sklearn.pipeline.Pipeline`.

        decide : {"default", "numpy", "pandas", "polars"}, default=None
            Of the last step, as in `DecisionMixin`.

        Returns
        -------
        DecisionPipeline
            The pipeline itself.
        """
        if transform is not None:
            super().set_output(transform=transform)
        if decide is not None:
            self._final_estimator.set_output(decide=decide)
        return self

    @available_if(_last_step_has("predict_quantiles"))
    def predict_quantiles(self, X, quantiles, **params):
        """Quantiles of the next outcome of every row, by the last step on the transformed X.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)
            The instances, with the columns that `fit` saw.

        quantiles : float or array-like of shape (n_quantiles,)
            Levels, strictly between 0 and 1.

        **params : dict of str to object
            Metadata; see the Notes of the class.

        Returns
        -------
        ndarray of shape (n_instances, n_quantiles)
            In units of the outcome, as the last step sees it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        """
        X, params = self._before_last_step(X, params)
        return self._final_estimator.predict_quantiles(X, quantiles, **params)

    @available_if(_last_step_has("predict_distribution"))
    def predict_distribution(self, X, **params):
        """Law of the next outcome of every row, by the last step on the transformed X.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features_in_)
            The instances, with the columns that `fit` saw.

        **params : dict of str to object
            Metadata; see the Notes of the class.

        Returns
        -------
        PredictiveDistribution
            One law a row, of the outcome as the last step sees it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        """
        X, params = self._before_last_step(X, params)
        return self._final_estimator.predict_distribution(X, **params)

    def _before_last_step(self, X, params):
        """X as the last step sees it, and the metadata that is for the last step."""
        check_is_fitted(self)
        routing = get_config()["enable_metadata_routing"]
        routed = process_routing(self, "predict", **(params if routing else {}))
        for name, step in self.steps[:-1]:
            if step is not None and step != "passthrough":
                X = step.transform(X, **routed[name]["transform"])
        return X, routed[self.steps[-1][0]]["predict"] if routing else params


def make_decision_pipeline(*steps, memory=None, transform_input=None, verbose=False):
    """Make a `DecisionPipeline`, in the manner of `sklearn.pipeline.make_pipeline`.

    Every step is named after its class, in lower case.

    Parameters
    ----------
    *steps : estimators
        Transformers, and last an estimator with ``decide``.

    memory : str or object with the joblib.Memory interface, default=None
        Where fitted transformers are cached; the last step never is. None: nowhere.

    transform_input : list of str, default=None
        Metadata of `fit` that is transformed as X is, on the way to the step that asks for it.
        Only with metadata routing.

    verbose : bool, default=False
        Whether `fit` prints how long every step takes.

    Returns
    -------
    DecisionPipeline
        A Pipeline with ``decide``, ``predict_quantiles`` and ``predict_distribution`` where the
        last step has them.

    See Also
    --------
    DecisionPipeline : Takes names for the steps.
    sklearn.pipeline.make_pipeline : Its pipelines hand on `predict` and `score`, not `decide`.

    Examples
    --------
    A column of text is dropped, and the names of the others survive.

    >>> import pandas as pd
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn_pttf.baselines import SampleAverage
    >>> from sklearn_pttf.pipeline import make_decision_pipeline
    >>> from sklearn_pttf.problems import Newsvendor
    >>> X = pd.DataFrame({"sku": ["a", "b"], "w1": [3, 0], "w2": [5, 1], "margin": [4.0, 1.0]})
    >>> numbers = make_column_transformer(
    ...     ("passthrough", ["w1", "w2", "margin"]), verbose_feature_names_out=False
    ... ).set_output(transform="pandas")
    >>> saa = SampleAverage(Newsvendor(underage="margin", overage=1.0))
    >>> pipe = make_decision_pipeline(numbers, saa).fit(X)
    >>> pipe.decide(X).to_list()
    [5.0, 0.0]
    >>> pipe.decide(X, problem=Newsvendor(underage=1.0, overage="margin")).to_list()
    [3.0, 0.0]
    """
    return DecisionPipeline(
        make_pipeline(*steps).steps,
        transform_input=transform_input,
        memory=memory,
        verbose=verbose,
    )
