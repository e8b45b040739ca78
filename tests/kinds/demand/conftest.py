"""Rows of a known prior, and a prior that is fitted to them."""

import pytest

from sklearn_pttf import SyntheticPrior
from support.demand_prior import known_rows


@pytest.fixture(scope="module")
def real():
    return known_rows()


@pytest.fixture(scope="module")
def fitted(real):
    return SyntheticPrior(random_state=0).fit(real)
