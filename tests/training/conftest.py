"""A run of pretraining from its first step to its last."""

import pytest

from sklearn_pttf import pretrain
from support.pretraining import PRIOR, ROUNDS


@pytest.fixture(scope="module")
def whole_run():
    return pretrain(PRIOR, **ROUNDS)
