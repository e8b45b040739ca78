"""A small table, and estimators that train for a moment."""

import numpy as np

from sklearn_pttf import PretrainedDecisionTransformer
from sklearn_pttf._tables.evidence import Evidence
from sklearn_pttf.finetune import FullFinetune
from sklearn_pttf.finetune._data import FinetuneData
from sklearn_pttf.problems import Newsvendor

NAN = np.nan
X = np.array([[1.0, 2.0, NAN], [3.0, NAN, NAN], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])


def finetune_data(X=X, outcomes=None):
    n = len(X)
    return FinetuneData(Evidence(X), outcomes, np.full(n, 0.9), np.ones(n), np.ones(n), True)


def quick_estimator(checkpoint, **params):
    problem = Newsvendor.from_service_level(0.9)
    strategy = FullFinetune(lr=3e-3, max_epochs=6, baselines=False)
    defaults = {"finetune": strategy, "random_state": 0}
    return PretrainedDecisionTransformer(problem, checkpoint=checkpoint, **{**defaults, **params})
