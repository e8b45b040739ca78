"""Families of demand of which sales may be capped: fits by the marginal likelihood, and laws."""

from abc import ABC, abstractmethod

import numpy as np
from scipy import optimize, special

from sklearn_pttf._laws.capped_levels import (
    CappedLognormal,
    CappedNegativeBinomial,
    CappedPoisson,
    GammaLevels,
    NormalLevels,
    is_capped,
    posterior_of_levels,
)
from sklearn_pttf._laws.levels import (
    LognormalLevelsLaw,
    NegativeBinomialLevelsLaw,
    PoissonLevelsLaw,
)
from sklearn_pttf._laws.parametric import RoundedLaw
from sklearn_pttf.baselines._conjugate import WIDEST
from sklearn_pttf.baselines._marginal_likelihood import (
    LARGEST_SHAPE,
    LOG_RATIO_PRIOR,
    beta_binomial,
    row_components,
    zero_share,
)

CENTRE_PRIOR = 1.0  # standard deviation of a weak prior of the log of the middle, around sales
FARTHEST = 5.0  # of the log of the middle from sales
PRECISE = {"ftol": 1e-14, "gtol": 1e-6, "maxiter": 200}  # of the search for hyperparameters
LEAST_SIZE, LARGEST_SIZE = 0.05, 1e4  # of negative binomial counts; the latter are Poisson ones
USUAL_SIZE = 10.0  # whose log has a weak prior, normal with standard deviation 1
LEAST_SPREAD = 1e-3  # of logarithms, and of noise


class CappedFamily(ABC):
    """Levels of rows and outcomes around them; the latter may be capped."""

    most_rows = 2000  # that hyperparameters are fitted to, evenly by what they sold

    def fit(self, portfolio):
        """Hyperparameters by the marginal likelihood, as a dict, and its logarithm."""
        rows = portfolio.take(_some_rows(portfolio, self._most_rows(portfolio)))
        starts, bounds = self._starts(rows)
        middle, mode = starts[0][0], None

        def loss(parameters):
            nonlocal mode
            hyperparameters = self._named(parameters)
            evidence = self._evidence(hyperparameters, rows)
            posterior = posterior_of_levels(self._prior(hyperparameters), evidence, mode)
            mode = posterior.mode
            fit, slope = self._penalty(parameters, middle)
            slope = slope - self._slopes(hyperparameters, posterior, evidence)
            return fit - posterior.log_evidence.sum(), slope

        start = min(starts, key=lambda start: loss(start)[0])
        # from the start on, so that steps do not depend on the unit of outcomes
        found = optimize.minimize(
            lambda moved: loss(start + moved),
            np.zeros_like(start),
            jac=True,
            method="L-BFGS-B",
            bounds=np.array(bounds) - start[:, None],
            options=PRECISE,
        )
        return self._named(start + found.x), -found.fun * len(portfolio) / max(len(rows), 1)

    def _most_rows(self, portfolio):
        return self.most_rows

    def posterior(self, hyperparameters, portfolio):
        evidence = self._evidence(hyperparameters, portfolio)
        return posterior_of_levels(self._prior(hyperparameters), evidence)

    def _penalty(self, parameters, middle):
        """Weak priors, that decide where the rows say nothing; value and slope of the loss."""
        slope = np.zeros(len(parameters))
        slope[0] = (parameters[0] - middle) / CENTRE_PRIOR**2
        return slope[0] * (parameters[0] - middle) / 2, slope

    @abstractmethod
    def _starts(self, portfolio):
        """Parameters to start from, the log of the middle first, and bounds of them."""

    @abstractmethod
    def _named(self, parameters):
        """Hyperparameters of parameters without bounds; dict."""

    @abstractmethod
    def _prior(self, hyperparameters):
        """Distribution of the logarithms of levels."""

    @abstractmethod
    def _evidence(self, hyperparameters, portfolio):
        """What rows show of their levels."""

    @abstractmethod
    def _slopes(self, hyperparameters, posterior, evidence):
        """Derivatives of the marginal log likelihood by the parameters (Fisher's identity)."""

    @abstractmethod
    def law(self, hyperparameters, portfolio):
        """Predictive laws of rows."""


class CappedGammaPoisson(CappedFamily):
    """Poisson counts with gamma levels."""

    n_parameters = 2

    def _starts(self, portfolio):
        sums, exposure = portfolio.totals()
        middle = np.log(max(sums.sum(), 0.5) / max(exposure.sum(), 1e-300))
        bounds = [(middle - FARTHEST, middle + FARTHEST), (np.log(1e-3), np.log(LARGEST_SHAPE))]
        return [np.array([middle, shape]) for shape in (0.0, 2.0, 4.0)], bounds

    def _named(self, parameters):
        mean, shape = np.exp(parameters)
        return {"shape": float(shape), "rate": float(shape / mean)}

    def _prior(self, hyperparameters):
        return GammaLevels(hyperparameters["shape"], hyperparameters["rate"])

    def _evidence(self, hyperparameters, portfolio):
        return CappedPoisson(portfolio)

    def _slopes(self, hyperparameters, posterior, evidence):
        shape, rate = hyperparameters["shape"], hyperparameters["rate"]
        logs = (posterior.weights * posterior.logs).sum()
        over = (posterior.weights * (rate * np.exp(posterior.logs) - shape)).sum()
        by_shape = logs + len(posterior.logs) * (np.log(rate) - special.digamma(shape))
        return np.array([over, shape * by_shape - over])

    def law(self, hyperparameters, portfolio):
        posterior = self.posterior(hyperparameters, portfolio)
        means = np.exp(posterior.logs) * portfolio.coming_exposure()[:, None]
        return PoissonLevelsLaw(means, posterior.weights)


class CappedGammaNegativeBinomial(CappedGammaPoisson):
    """Counts that vary more than Poisson ones, by one size, with gamma levels."""

    n_parameters = 3
    most_cells = 8000  # of 100 rows at least: sums over rows do not tell all

    def _most_rows(self, portfolio):
        return max(100, self.most_cells // max(portfolio.observations.shape[1], 1))

    def _starts(self, portfolio):
        starts, bounds = super()._starts(portfolio)
        starts = [np.append(start, size) for start in starts for size in (0.7, 3.0)]
        return starts, [*bounds, (np.log(LEAST_SIZE), np.log(LARGEST_SIZE))]

    def _named(self, parameters):
        return super()._named(parameters[:2]) | {"size": float(np.exp(parameters[2]))}

    def _penalty(self, parameters, middle):
        loss, slope = super()._penalty(parameters, middle)
        away = parameters[2] - np.log(USUAL_SIZE)
        return loss + away**2 / 2, slope + np.array([0.0, 0.0, away])

    def _evidence(self, hyperparameters, portfolio):
        return CappedNegativeBinomial(portfolio, hyperparameters["size"])

    def _slopes(self, hyperparameters, posterior, evidence):
        of_levels = super()._slopes(hyperparameters, posterior, evidence)
        return np.append(of_levels, (posterior.weights * evidence.size_slope(posterior.logs)).sum())

    def law(self, hyperparameters, portfolio):
        posterior = self.posterior(hyperparameters, portfolio)
        means = np.exp(posterior.logs) * portfolio.coming_exposure()[:, None]
        return NegativeBinomialLevelsLaw(means, posterior.weights, hyperparameters["size"])


class CappedLognormalNormal(CappedFamily):
    """Lognormal outcomes with normal levels of logarithms, and a share of zeros of each row."""

    n_parameters = 5

    def fit(self, portfolio):
        found, log_likelihood = super().fit(portfolio)
        zeros, others = self._zeros(portfolio)
        seen = zeros + others > 0
        a, b = beta_binomial(zeros[seen], (zeros + others)[seen])
        if a > 0 and b > 0:
            rows = special.betaln(a + zeros, b + others) - special.betaln(a, b)
            log_likelihood += rows.sum()
        return found | {"zeros": a, "others": b}, log_likelihood

    @staticmethod
    def _zeros(portfolio):
        """Numbers of zeros and of other observations of rows."""
        x = portfolio.observations
        return (x == 0).sum(axis=1), (np.nan_to_num(x) > 0).sum(axis=1)

    def _starts(self, portfolio):
        x = portfolio.observations
        positive = np.nan_to_num(x) > 0
        logs = np.where(positive, np.log(np.where(positive, x, 1.0)), np.nan)
        mean, spread, noise = row_components(logs)
        scales = np.log([LEAST_SPREAD, WIDEST / 2])
        bounds = [(mean - FARTHEST, mean + FARTHEST), scales, scales]
        inside = np.clip([spread, noise], *np.exp(scales + np.array([1.0, -1.0])))
        start = np.array([mean, *np.log(inside)])
        return [start, start + np.array([0.0, 0.3, 0.3])], bounds

    def _named(self, parameters):
        spread, noise = np.exp(parameters[1:])
        return {"mean": float(parameters[0]), "spread": float(spread), "noise": float(noise)}

    def _penalty(self, parameters, middle):
        loss, slope = super()._penalty(parameters, middle)
        log_ratio = 2 * (parameters[1] - parameters[2])
        more = 2 * log_ratio / LOG_RATIO_PRIOR**2
        return loss + log_ratio**2 / LOG_RATIO_PRIOR**2 / 2, slope + more * np.array([0, 1, -1])

    def _prior(self, hyperparameters):
        return NormalLevels(hyperparameters["mean"], hyperparameters["spread"])

    def _evidence(self, hyperparameters, portfolio):
        return CappedLognormal(portfolio, hyperparameters["noise"])

    def _slopes(self, hyperparameters, posterior, evidence):
        away = (posterior.logs - hyperparameters["mean"]) / hyperparameters["spread"]
        of_mean = (posterior.weights * away).sum() / hyperparameters["spread"]
        of_spread = (posterior.weights * (away**2 - 1)).sum()
        of_noise = (posterior.weights * evidence.noise_slope(posterior.logs)).sum()
        return np.array([of_mean, of_spread, of_noise])

    def law(self, hyperparameters, portfolio):
        posterior = self.posterior(hyperparameters, portfolio)
        widths = np.full_like(posterior.logs, hyperparameters["noise"])
        a, b = hyperparameters["zeros"], hyperparameters["others"]
        zeros = zero_share(*self._zeros(portfolio), a, b)
        law = LognormalLevelsLaw(posterior.weights, posterior.logs, widths, zeros)
        return RoundedLaw(law) if portfolio.integer else law


def _some_rows(portfolio, most):
    """Rows with observations, of many an even choice by what they sold; indices."""
    sums, counts = portfolio.totals()[0], portfolio.counts
    rows = np.flatnonzero(counts)
    n_capped = is_capped(portfolio).sum(axis=1)
    rows = rows[np.lexsort((n_capped[rows], counts[rows], sums[rows]))]
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(int)]
    return rows


FAMILIES = {
    "gamma-poisson": CappedGammaPoisson,
    "gamma-negative-binomial": CappedGammaNegativeBinomial,
    "lognormal": CappedLognormalNormal,
}
