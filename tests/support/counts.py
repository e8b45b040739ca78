"""Tables of counts, and a network that is small."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_pttf._network.network import NetworkConfig

NAN = np.nan
SMALL = NetworkConfig(
    width=16, n_layers=2, n_tokens=4, n_heads=2, observation_width=8, n_knots=9, outcomes="counts"
)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 5))
COUNT = st.one_of(st.integers(0, 6), st.integers(0, 10**6), st.just(NAN))


@st.composite
def rough(draw):
    """Any counts, with ties, outliers and empty rows."""
    return draw(arrays(np.float64, draw(SHAPES), elements=COUNT))


def count_table(seed=0, n=12, m=4):
    X = np.random.RandomState(seed).poisson(np.linspace(0.5, 9, n)[:, None], (n, m)).astype(float)
    X[3, 1] = NAN
    return X
