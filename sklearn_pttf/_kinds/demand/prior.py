"""Managerial knowledge as a distribution over demand portfolios."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sklearn_pttf._kinds.demand.calibration import (
    MAX_CELLS,
    narrowed,
    near_level,
    part_of,
    reference_table,
)
from sklearn_pttf._kinds.demand.ranges import FAMILIES, RANGES, SHARES, DemandHyperPrior
from sklearn_pttf._kinds.demand.sampler import NOISE_FAMILIES, SPREAD_FAMILIES, draw_portfolios
from sklearn_pttf._priors.draws import PriorDraws, seeded_generator
from sklearn_pttf._priors.ranges import as_tensors
from sklearn_pttf._tables.summaries import SUMMARIES, mid_ranks, portfolio_summaries, row_summaries
from sklearn_pttf._utils.checks import check_table
from sklearn_pttf._utils.frames import with_columns
from sklearn_pttf._utils.sklearn_private import (
    HasMethods,
    Interval,
    _check_feature_names_in,
    _fit_context,
)
from sklearn_pttf._utils.torch_state import plain_torch
from sklearn_pttf.problems import Newsvendor

ACCEPTED_SHARE = 0.05  # of the simulations, the nearest ones
FEWEST_ACCEPTED = 20  # of few simulations, so that ends of ranges are not those of a handful
LEAST_DEVIATION = 1e-9  # of summaries over simulations, which distances are divided by

_RANGE = [tuple, list, Real, HasMethods(["rvs", "ppf"])]
_SHARE = [Interval(Real, 0, 1, closed="both")]


class SyntheticPrior(PriorDraws, TransformerMixin, BaseEstimator):
    """Distribution over demand portfolios that encodes managerial knowledge.

    A portfolio is drawn in three steps: its hyperparameters from the ranges below; from
    these the mean and the noise level of every instance; from these its past and future
    outcomes, independently of each other.

    A range is a number, a pair ``(lowest, highest)`` or a frozen `scipy.stats`
    distribution of bounded support. Pairs are drawn uniformly, those marked *log* uniformly
    on the log scale, those marked *log, peaked* from the triangular distribution on the log
    scale, the middle likelier than the ends. The two of these have half of their draw in common:
    where instances differ much, periods mostly do too. With one observation an instance
    nothing else tells the two apart.

    Parameters
    ----------
    level : range, default=(0.05, 100000.0)
        Typical mean demand of a portfolio's instances, units a period; log.

    spread : range, default=(0.05, 2.5)
        Standard deviation of the instances' log means; log, peaked.

    spread_families : tuple of str or dict, default=("lognormal", "gamma", "segments", \
            "heavy_tailed")
        Shapes of the distribution of means, equally likely or with weights.

    noise : range, default=(0.05, 3.0)
        Coefficient of variation of an instance's demand, typical of the portfolio; log, peaked.
        Poisson demand has its own. For negative binomial demand: that of its gamma part.

    noise_spread : range, default=(0.0, 0.7)
        Standard deviation of the instances' log noise levels.

    noise_families : tuple of str or dict, default=("poisson", "negative_binomial", "gamma", \
            "lognormal", "normal", "compound_poisson")
        Shapes of demand around its mean, equally likely or with weights. ``"normal"`` is
        truncated at zero, ``"compound_poisson"`` is a Poisson number of orders of random size.

    whole_share : float, default=0.5
        Share of the portfolios with whole-number demand, among those of families that do
        not imply it.

    intermittent_share : float, default=0.25
        Share of the portfolios whose demand is at times zero beyond its family's own zeros.

    zero_rate : range, default=(0.05, 0.95)
        Mean share of such zero periods in an intermittent portfolio.

    zero_concentration : range, default=(2.0, 50.0)
        The instances' zero rates are beta-distributed with this sum of parameters; log.

    bulk_share : float, default=0.2
        Share of the portfolios with rare additional bulk orders.

    bulk_rate : range, default=(0.01, 0.2)
        Mean share of periods with a bulk order, in such a portfolio; log. The instances' shares
        are exponentially distributed around it, up to one half.

    bulk_size : range, default=(1.0, 20.0)
        Median size of a bulk order, in multiples of the instance's mean; log.

    order_rate : range, default=(0.2, 5.0)
        Orders a period of a typical instance in compound Poisson demand, fewer of a noisier one;
        log.

    order_dispersion : range, default=(0.3, 1.5)
        Coefficient of variation of the size of these orders; log.

    n_instances : range, default=(2, 500)
        Instances of a portfolio; log.

    n_observations : range, default=(0, 30)
        Observation cells of a portfolio, log of two plus this number; at least one is drawn, and
        rows without observations come from ``missing``.

    ragged_share : float, default=0.4
        Share of the portfolios with missing observations.

    missing : range, default=(0.05, 0.6)
        Mean share of missing observations in such a portfolio.

    observations : list of str or int, default=None
        Columns of X that hold observations. None: all.

    n_simulations : int, default=1000
        Portfolios that `fit` simulates.

    random_state : int, RandomState or None, default=None
        Source of randomness of `fit` and, unless told otherwise, of the draws.

    Attributes
    ----------
    calibrated_params_ : dict
        Narrowed parameters, which `calibrated` gives to a new prior.

    observation_columns_ : ndarray of int
        Positions of the observation columns.

    n_features_in_ : int
        Number of columns seen during `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns seen during `fit`, where they are all strings.

    See Also
    --------
    pretrain : Pretrains a network on portfolios of a prior.

    Notes
    -----
    `fit` calibrates by approximate Bayesian computation [1]_: it simulates portfolios of the
    shape of X, keeps the 5 % whose summaries are nearest to those of X, and narrows every
    range to the 90 % interval of what they were drawn with.

    References
    ----------
    .. [1] M. A. Beaumont, W. Zhang, D. J. Balding, "Approximate Bayesian computation in
       population genetics", Genetics 162 (2002), 2025-2035.

    Examples
    --------
    >>> from sklearn_pttf import SyntheticPrior
    >>> prior = SyntheticPrior(level=(1.0, 50.0), noise_families=("poisson",))
    >>> first, second = prior.sample(2, n_instances=4, n_observations=3, random_state=0)
    >>> first.observations.shape, first.integer, sorted(first.parameters)[:2]
    ((4, 3), True, ['bulk', 'bulk_rate'])
    """

    outcomes = "demand"

    _parameter_constraints = {
        **{name: _RANGE for name in RANGES},
        **{name: [tuple, list, dict, str] for name in FAMILIES},
        **{name: _SHARE for name in SHARES},
        "observations": ["array-like", str, None],
        "n_simulations": [Interval(Integral, 100, None, closed="left")],
        "random_state": ["random_state"],
    }

    _hyperprior = DemandHyperPrior
    _draw_portfolios = staticmethod(draw_portfolios)

    def __init__(
        self,
        *,
        level=(0.05, 1e5),
        spread=(0.05, 2.5),
        spread_families=SPREAD_FAMILIES,
        noise=(0.05, 3.0),
        noise_spread=(0.0, 0.7),
        noise_families=NOISE_FAMILIES,
        whole_share=0.5,
        intermittent_share=0.25,
        zero_rate=(0.05, 0.95),
        zero_concentration=(2.0, 50.0),
        bulk_share=0.2,
        bulk_rate=(0.01, 0.2),
        bulk_size=(1.0, 20.0),
        order_rate=(0.2, 5.0),
        order_dispersion=(0.3, 1.5),
        n_instances=(2, 500),
        n_observations=(0, 30),
        ragged_share=0.4,
        missing=(0.05, 0.6),
        observations=None,
        n_simulations=1000,
        random_state=None,
    ):
        self.level = level
        self.spread = spread
        self.spread_families = spread_families
        self.noise = noise
        self.noise_spread = noise_spread
        self.noise_families = noise_families
        self.whole_share = whole_share
        self.intermittent_share = intermittent_share
        self.zero_rate = zero_rate
        self.zero_concentration = zero_concentration
        self.bulk_share = bulk_share
        self.bulk_rate = bulk_rate
        self.bulk_size = bulk_size
        self.order_rate = order_rate
        self.order_dispersion = order_dispersion
        self.n_instances = n_instances
        self.n_observations = n_observations
        self.ragged_share = ragged_share
        self.missing = missing
        self.observations = observations
        self.n_simulations = n_simulations
        self.random_state = random_state

    # ------------------------------------------------------------------ drawing

    def sample_like(self, X, random_state=None):
        """Draw a prior-predictive twin of real rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            Real rows.

        random_state : int, RandomState or None, default=None
            Source of randomness; None: that of the prior.

        Returns
        -------
        ndarray or data frame of shape (n_instances, n_features)
            X with other observations: those of one portfolio of the prior, whole numbers
            where X has whole numbers, and missing where X has none.
        """
        rng = self._rng(random_state)
        fitted = hasattr(self, "calibrated_params_")
        reader = self if fitted else clone(self)  # drawing leaves no trace on the prior
        X, real = reader._read(X, reset=not fitted)
        hyper = self._current().hyperprior().draw(1, rng)
        hyper["whole"] = np.array([real.integer])
        hyper["missing"] = np.zeros(1)
        n_rows, n_cells = real.observations.shape
        draw = draw_portfolios(as_tensors(hyper), n_rows, 0, n_cells, seeded_generator(rng, "cpu"))
        twin = draw.outcomes[0].numpy().astype(float)
        twin[np.isnan(real.observations)] = np.nan
        return with_columns(X, reader.observation_columns_, twin)

    # ------------------------------------------------------------------ calibrating

    @_fit_context(prefer_skip_nested_validation=True)
    @plain_torch()
    def fit(self, X, y=None):
        """Calibrate the hyperparameters to real rows.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            Real rows; NaN marks a missing observation.

        y : Ignored
            Present for API consistency.

        Returns
        -------
        SyntheticPrior
            The fitted prior; its parameters stay as they are.

        Raises
        ------
        ValueError
            If a range is reversed, or X has no observation, or infinite or negative ones.
        """
        rng = check_random_state(self.random_state)
        _, portfolio = self._read(X, reset=True)
        if not portfolio.counts.any():
            raise ValueError("X has no observation at all: every observation is missing.")
        observations = part_of(portfolio.observations, rng)
        self.calibrated_params_ = self._calibrate(observations, portfolio.integer, rng)
        self._references = [
            reference_table(prior.hyperprior(), rng) for prior in (self._current(), self)
        ]
        return self

    def calibrated(self, X):
        """A new, unfitted prior with ranges narrowed to real rows; it survives `clone`.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)
            Real rows.

        Returns
        -------
        SyntheticPrior
        """
        return clone(self).set_params(**clone(self).fit(X).calibrated_params_)

    def _calibrate(self, observations, integer, rng):
        """Approximate Bayesian computation: parameters of the simulations nearest to X."""
        hyperprior = self.hyperprior()
        near = near_level(hyperprior, observations)
        hyper = near.draw(self.n_simulations, rng)
        hyper["whole"] = hyper["whole"] | integer
        hyper["missing"] = np.zeros(self.n_simulations)
        n_rows, n_cells = observations.shape
        draw = draw_portfolios(as_tensors(hyper), n_rows, 0, n_cells, seeded_generator(rng, "cpu"))
        simulated = draw.outcomes.numpy().astype(float)
        simulated[:, np.isnan(observations)] = np.nan
        simulated = portfolio_summaries(simulated)
        distance = np.abs(simulated - portfolio_summaries(observations))
        distance = (distance / (simulated.std(axis=0) + LEAST_DEVIATION)).sum(axis=1)
        n_accepted = max(FEWEST_ACCEPTED, int(ACCEPTED_SHARE * self.n_simulations))
        accepted = np.argsort(distance, kind="stable")[:n_accepted]
        return narrowed(hyperprior, {name: value[accepted] for name, value in hyper.items()})

    def transform(self, X):
        """Place every row in the prior, so that impossible ones show at once.

        Parameters
        ----------
        X : array-like or data frame of shape (n_instances, n_features)

        Returns
        -------
        ndarray of shape (n_instances, 8)
            Prior-predictive ranks, from 0 to 1, of each row's level (mean), dispersion
            (standard deviation over mean), share of zeros and peak (largest over mean),
            among synthetic rows with as many observations (30 where there are more): first
            under the calibrated ranges, then under the original ones. Ranks of exactly 0 or
            1 are rows that the prior finds impossible. NaN for a row without observation.
        """
        check_is_fitted(self)
        _, portfolio = self._read(X, reset=False)
        summaries = row_summaries(portfolio.observations)
        depth = np.minimum(portfolio.counts, MAX_CELLS)
        out = np.full((len(portfolio), 2 * len(SUMMARIES)), np.nan)
        for n in np.unique(depth[depth > 0]):
            rows = depth == n
            for k, table in enumerate(self._references):
                for j in range(len(SUMMARIES)):
                    column = k * len(SUMMARIES) + j
                    out[rows, column] = mid_ranks(summaries[rows, j], table[n - 1, j])
        return out

    def get_feature_names_out(self, input_features=None):
        """Names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Checked against the names seen during `fit`, not used otherwise.

        Returns
        -------
        ndarray of str
            ``"level_rank"``, ..., and ``"level_rank_original"``, ...
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features)
        names = [f"{name}_rank{end}" for end in ("", "_original") for name in SUMMARIES]
        return np.array(names, dtype=object)

    # ------------------------------------------------------------------ helpers

    def _current(self):
        """The prior itself, with the calibrated ranges where it is fitted."""
        if not hasattr(self, "calibrated_params_"):
            return self
        return clone(self).set_params(**self.calibrated_params_)

    def _read(self, X, reset):
        X = check_table(self, X, reset=reset)
        names = getattr(self, "feature_names_in_", None)
        problem = Newsvendor(observations=self.observations)
        if reset:
            self.observation_columns_ = np.array(
                problem.observation_positions(names, self.n_features_in_)
            )
        return X, problem.read(X, names, self.observation_columns_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.positive_only = True
        return tags


def copy_of_demand(demand):
    """An unfitted copy of the prior of demand that another prior is given; others are refused."""
    if not isinstance(demand, SyntheticPrior):
        raise ValueError(f"demand must be a SyntheticPrior or None; got {demand!r}.")
    return clone(demand)
