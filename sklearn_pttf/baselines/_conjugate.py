"""Conjugate families: gamma levels of Poisson counts, normal ones of values and of logarithms."""

from abc import ABC, abstractmethod

import numpy as np

from sklearn_pttf._laws.parametric import (
    NegativeBinomialLaw,
    RectifiedNormalLaw,
    RoundedLaw,
    ZeroInflatedLognormalLaw,
)
from sklearn_pttf.baselines._marginal_likelihood import (
    beta_binomial,
    gamma_poisson,
    row_components,
    zero_share,
)
from sklearn_pttf.baselines._values import common_error, law_of_means, row_errors, size_of

WIDEST = 10.0  # standard deviation of a logarithm, beyond which expected outcomes overflow


class Family(ABC):
    """A conjugate family: summaries of rows, hyperparameters, and predictive laws."""

    @abstractmethod
    def cells(self, x):
        """What each observation adds to its row's summaries; 0 where missing."""

    def summaries(self, x):
        return tuple(cell.sum(axis=1) for cell in self.cells(x))

    @abstractmethod
    def fit(self, portfolio):
        """Hyperparameters, as a dict."""

    def law_of(self, hyperparameters, portfolio):
        """Predictive laws of the rows of a portfolio."""
        summaries = self.summaries(portfolio.observations)
        return self.law(hyperparameters, portfolio.integer, *summaries)

    @abstractmethod
    def law(self, hyperparameters, integer, *summaries):
        """Predictive laws of rows with some summaries."""

    def held_out_score(self, hyperparameters, integer, x):
        """Mean log density of every observation given its row's others."""
        seen = ~np.isnan(x)
        cells = self.cells(x)
        others = (np.sum(cell, axis=1, keepdims=True) - cell for cell in cells)
        law = self.law(hyperparameters, integer, *(other[seen] for other in others))
        scores = law.log_density(x[seen])
        return np.maximum(scores, -1e6).mean()


class GammaPoisson(Family):
    def cells(self, x):
        seen = ~np.isnan(x)
        return seen.astype(float), np.where(seen, x, 0.0)

    def fit(self, portfolio):
        counts, sums = self.totals(portfolio)
        if sums.sum() == 0:  # as if half a unit had been sold
            return {"shape": 0.5, "rate": float(counts.sum())}
        unit = portfolio.mean_exposure()
        shape, rate = gamma_poisson(sums[counts > 0], counts[counts > 0] / unit)
        return {"shape": shape, "rate": rate * unit}

    def totals(self, portfolio):
        """Exposure and sum of every row's observations."""
        counts, sums = self.summaries(portfolio.observations)
        return counts if portfolio.exposure is None else np.nansum(portfolio.exposures(), 1), sums

    def law_of(self, hyperparameters, portfolio):
        totals = self.totals(portfolio)
        return self.law(hyperparameters, True, *totals, portfolio.coming_exposure())

    def law(self, hyperparameters, integer, counts, sums, coming=1.0):
        rate = hyperparameters["rate"] + counts
        return NegativeBinomialLaw(hyperparameters["shape"] + sums, rate / (rate + coming))


class Normal(Family):
    def cells(self, x):
        seen = ~np.isnan(x)
        return seen.astype(float), np.where(seen, x, 0.0)

    def fit(self, portfolio):
        x, errors = portfolio.observations, portfolio.errors
        if errors is None or np.isnan(errors).all():
            size = size_of(x)
            mean, spread, noise = row_components(x / size)
            return {"mean": mean * size, "spread": spread * size, "noise": noise * size}
        common = common_error(x, errors)
        seen = portfolio.take(np.flatnonzero(portfolio.counts))
        means = np.nanmean(seen.observations, axis=1)
        mean, spread = law_of_means(means, row_errors(seen, common) ** 2 / seen.counts)
        noise = common if np.isnan(errors).any() else np.nan
        return {"mean": mean, "spread": spread, "noise": noise}

    def law(self, hyperparameters, integer, counts, sums):
        law = RectifiedNormalLaw(*normal_outcomes(hyperparameters, counts, sums))
        return RoundedLaw(law) if integer else law


class Lognormal(Family):
    def cells(self, x):
        positive = np.nan_to_num(x) > 0
        logs = np.log(np.where(positive, x, 1.0))
        return positive.astype(float), logs, (x == 0).astype(float)

    def fit(self, portfolio):
        x = portfolio.observations
        n_positive, _, n_zero = self.summaries(x)
        positive = np.nan_to_num(x) > 0
        logs = np.log(np.where(positive, x, 1.0))
        mean, spread, noise = row_components(np.where(positive, logs, np.nan))
        counts = n_positive + n_zero
        a, b = beta_binomial(n_zero[counts > 0], counts[counts > 0])
        return {"mean": mean, "spread": spread, "noise": noise, "zeros": a, "others": b}

    def law(self, hyperparameters, integer, n_positive, logs, n_zero):
        a, b = hyperparameters["zeros"], hyperparameters["others"]
        share = zero_share(n_zero, n_positive, a, b)
        centre, width = normal_outcomes(hyperparameters, n_positive, logs)
        width = np.minimum(width, WIDEST)
        law = ZeroInflatedLognormalLaw(centre, width, share)
        return RoundedLaw(law) if integer else law


def normal_levels(hyperparameters, counts, sums, noise):
    """Means and variances of rows' levels, given their observations and noise."""
    mean, spread = hyperparameters["mean"], hyperparameters["spread"]
    gain = spread**2 / (noise**2 + counts * spread**2)
    return mean + gain * (sums - counts * mean), gain * noise**2


def normal_outcomes(hyperparameters, counts, sums):
    """Mean and standard deviation of the next of normal outcomes."""
    noise = hyperparameters["noise"]
    centre, variance = normal_levels(hyperparameters, counts, sums, noise)
    return centre, np.sqrt(variance + noise**2)


FAMILIES = {"gamma-poisson": GammaPoisson, "lognormal": Lognormal, "normal": Normal}
