"""Exact empirical Bayes of Poisson demand."""

import numpy as np
import pytest
from scipy import stats

from sklearn_pttf._kinds.demand.companion import PoissonCompanion, totals_of
from sklearn_pttf.testing import GammaPoisson, Segments


def _excess_cost(law, truth, bayes, tau):
    """Newsvendor cost of a law's orders over that of exact Bayes, less one."""

    def cost(order):
        short = truth.excess(order)
        return (tau * short + (1 - tau) * (order - truth.mean() + short)).sum()

    return cost(law.quantile(tau)) / cost(bayes.quantile(tau)) - 1


@pytest.mark.parametrize(
    "prior",
    [GammaPoisson(2.0, 0.2), GammaPoisson(0.5, 0.1), Segments([2.0, 10.0, 40.0], [0.5, 0.3, 0.2])],
)
def test_next_to_exact_bayes(prior):
    portfolio = prior.sample(500, 3, random_state=0)
    totals = totals_of(portfolio.observations)
    law = PoissonCompanion(portfolio.observations).law(*totals)
    for tau in (0.5, 0.9, 0.95):
        found = _excess_cost(law, prior.truth(portfolio), prior.predictive(portfolio), tau)
        assert -0.01 < found < 0.01


def test_mean_is_that_of_the_law_and_of_the_table():
    X = GammaPoisson(2.0, 0.2).sample(300, 4, random_state=1).observations
    companion = PoissonCompanion(X)
    totals = totals_of(X)
    np.testing.assert_allclose(companion.law(*totals).mean(), companion.mean(*totals), rtol=1e-9)
    assert companion.mean(*totals).mean() == pytest.approx(X.mean(), rel=0.01)


def test_what_rows_are_together_with_does_not_matter():
    X = GammaPoisson(2.0, 0.2).sample(60, 4, random_state=2).observations
    companion, (total, count) = PoissonCompanion(X), totals_of(X)
    together, at = companion.law(total, count), np.arange(40)[None]
    for k in (0, 31, 59):
        alone = companion.law(total[k : k + 1], count[k : k + 1])
        np.testing.assert_allclose(alone.cdf(at)[0], together.cdf(at)[k], rtol=1e-12)
    shuffled = PoissonCompanion(X[::-1, ::-1]).law(total, count)
    np.testing.assert_allclose(shuffled.cdf(at), together.cdf(at), atol=1e-9)


def test_levels_over_seven_decades():
    rng = np.random.default_rng(0)
    levels = np.exp(rng.uniform(np.log(0.1), np.log(1e6), 400))
    X = rng.poisson(levels[:, None], (400, 8)).astype(float)
    orders = PoissonCompanion(X).law(*totals_of(X)).quantile(0.9)
    chance = stats.poisson.cdf(orders, levels)
    assert chance[levels > 10].mean() == pytest.approx(0.9, abs=0.04)


def test_a_table_without_sales():
    law = PoissonCompanion(np.zeros((20, 5))).law(np.zeros(1), np.array([5.0]))
    assert 0 < law.mean()[0] < 0.02
    assert law.quantile(0.9)[0] == 0
