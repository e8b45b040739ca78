"""One observation a row: zero-shot cost against the Bayes decision of the prior itself.

::

    python benchmarks/one_observation.py            # laws, and portfolios of the prior
    python benchmarks/one_observation.py --check    # the method against exact posteriors

With one observation a row nothing in X tells level from noise: counts whose means differ, and
counts of one and the same negative binomial law, can have equal distributions. So a network is
compared with the Bayes decision of the prior that it was pretrained on, which is estimated by
importance sampling over the hyperparameters:

1. They are drawn from the prior, given that outcomes are whole or real as in X, and a level
   near the data (farther away it has no weight). A portfolio of each is simulated, and its
   histogram gives the likelihood of X.
2. In a few rounds they are drawn anew around those of high likelihood. A mixture of kernels in
   the ranks of the prior, where the prior is uniform, gives the proper weights. This takes the
   hyperparameters other than ``whole`` and the families to be independent of each other.
3. The last rounds simulate many instances. The next outcome after x is that of the simulated
   instances whose observation is x, weighted by their portfolio.

Columns: mean costs of the network, of the prior's Bayes decision, and of the exact one that
knows the truth; ``over prior``, the ratio of summed costs of network and prior, minus one, with
the half width of a 95 % interval over portfolios; ``sim``, the cost of deciding by one half of
the simulation over that by all of it, about what the simulation costs the prior's decision;
``ess``, the effective sample size, median and smallest.

Truths: ``rows differ`` and ``rows alike`` are two laws under which X has the same distribution;
``either`` is one or the other by the toss of a coin. Their costs are exact. ``prior's belief``
charges what the prior expects given X. There the prior's decision of each half of the simulation
is charged by the other half, so that it gains nothing from being optimal by construction.
"""

import argparse
import sys
from typing import NamedTuple

import numpy as np
import torch
from scipy import special, stats

from sklearn_pttf import Checkpoint, PretrainedDecisionTransformer, SyntheticPrior
from sklearn_pttf._demand import NOISE_FAMILIES, draw_portfolios
from sklearn_pttf._hyperprior import as_tensors
from sklearn_pttf._parametric import LognormalLaw, MixtureLaw, NegativeBinomialLaw
from sklearn_pttf.problems import Newsvendor
from sklearn_pttf.testing import GammaPoisson, LognormalNormal

LAWS = [GammaPoisson(2.0, 0.2), GammaPoisson(0.5, 0.1), LognormalNormal(4.0, 0.3, 0.3)]
TAUS = (0.5, 0.9, 0.95)
N_INSTANCES = 500
N_TABLE = 200_000  # draws that stand for the prior
ROUNDS = [  # portfolios, instances, outcomes an instance, groups of the likelihood
    (16_000, 150, 2, 12),
    (4000, 500, 2, 16),
    (1500, 2000, 2, 20),
    (800, 6000, 2, 24),
]
LAST = (700, 10_000, 2, 24)  # repeated until the sample is good enough
MAX_LAST = 5
ENOUGH = 50  # effective sample size
N_EXACT = 400  # draws of an exact posterior
N_KEPT = 300  # kernels of the mixture
FROM_PRIOR = 0.05  # share of a round that is drawn from the prior again
OTHER_KIND = 0.2  # share that changes its families
KERNEL = 0.5  # median standard deviation of a kernel, in those of the kept ones
KERNEL_SPREAD = 0.5  # of the log standard deviations of kernels
ALL, FIRST, SECOND = range(3)  # parts of the simulation: all of it, and its halves
MIN_PAIRS = 500  # effective number of simulated pairs behind a decision

DISCRETE = ("spread_family", "noise_family", "intermittent", "bulk")

# ------------------------------------------------------------------ the prior near the data


class NearPrior:
    """A prior given whole or real outcomes and a level near the data, as a table of draws.

    A *kind* is one combination of the families and switches of a portfolio.
    """

    def __init__(self, prior, x, whole, rng):
        positive = x[x > 0]
        low = np.exp(np.log(positive).mean()) / 100
        hyper = prior.hyperprior().draw(N_TABLE, rng)
        near = (hyper["level"] >= low) & (hyper["level"] <= 30 * positive.mean())
        near &= hyper["whole"] == whole
        self.whole = whole
        names = [name for name in hyper if name not in {*DISCRETE, "whole", "missing"}]
        self.sorted = {name: np.sort(hyper[name][near]) for name in names}
        table = np.column_stack([hyper[name][near].astype(int) for name in DISCRETE])
        self.kinds, count = np.unique(table, axis=0, return_counts=True)
        self.share = count / count.sum()
        self.used = np.array([_used(names, *kind) for kind in self.kinds])

    def draw(self, size, rng):
        """Kinds (size,), ranks (size, n_ranges), and the log density over the prior's."""
        kind = rng.choice(len(self.kinds), size=size, p=self.share)
        return kind, rng.uniform(size=(size, len(self.sorted))), np.zeros(size)

    def hyper(self, kind, ranks):
        """Hyperparameters of some kinds and ranks, as `draw_portfolios` takes them."""
        out = {"whole": np.full(len(kind), self.whole), "missing": np.zeros(len(kind))}
        for name, codes in zip(DISCRETE, self.kinds[kind].T, strict=True):
            out[name] = codes if name.endswith("family") else codes > 0
        for (name, values), u in zip(self.sorted.items(), ranks.T, strict=True):
            out[name] = np.interp(u * (len(values) - 1), np.arange(len(values)), values)
        return out


def _used(names, spread_family, noise_family, intermittent, bulk):
    """Which hyperparameters matter to a portfolio of this kind."""
    noise = NOISE_FAMILIES[noise_family]
    switches = {
        "noise": noise != "poisson",
        "zero": intermittent,
        "bulk": bulk,
        "order": noise == "compound_poisson",
    }
    return [bool(switches.get(name.split("_")[0], True)) for name in names]


class Kernels:
    """Mixture of kernels around good portfolios, in the ranks of the prior.

    A draw moves away from a good portfolio, and at times to another kind. What its kind does
    not use, or the other kind did not, is drawn from the prior, like a share of all draws.
    """

    def __init__(self, near, kind, ranks, weights, rng):
        self.near = near
        widths = _kernel_widths(kind, ranks, weights, len(near.kinds))
        kept = rng.choice(len(kind), size=N_KEPT, p=weights)
        self.kind, self.ranks = kind[kept], ranks[kept]
        self.widths = widths[self.kind] * np.exp(KERNEL_SPREAD * rng.normal(size=(N_KEPT, 1)))

    def draw(self, size, rng):
        """Kinds and ranks, and the log density of their draw over that of the prior."""
        kind, ranks, _ = self.near.draw(size, rng)
        centre = rng.randint(N_KEPT, size=size)
        moved = self.ranks[centre] + self.widths[centre] * rng.normal(size=ranks.shape)
        moved = np.abs(moved % 2 - 2 * (moved % 2 > 1))  # reflected at 0 and 1
        u = rng.uniform(size=size)
        kind = np.where(u >= FROM_PRIOR + OTHER_KIND, self.kind[centre], kind)
        both = self.near.used[kind] & self.near.used[self.kind[centre]]
        ranks = np.where((u >= FROM_PRIOR)[:, None] & both, moved, ranks)
        return kind, ranks, self.log_ratio(kind, ranks)

    def log_ratio(self, kind, ranks):
        """Log density of a draw over that of the prior; array (size,)."""
        logs = np.zeros((len(kind), N_KEPT))
        used, used_there = self.near.used[kind], self.near.used[self.kind]
        for d, u in enumerate(ranks.T):
            width = self.widths[:, d]
            z = [(v[:, None] - self.ranks[:, d]) / width for v in (u, -u, 2 - u)]
            density = sum(np.exp(-0.5 * v**2) for v in z) / (np.sqrt(2 * np.pi) * width)
            both = used[:, None, d] & used_there[:, d]
            logs += np.where(both, np.log(np.maximum(density, 1e-300)), 0.0)
        same = (kind[:, None] == self.kind) / self.near.share[kind][:, None]
        shares = OTHER_KIND + (1 - FROM_PRIOR - OTHER_KIND) * same
        return np.log(FROM_PRIOR + (shares * np.exp(logs)).mean(axis=1))


def _kernel_widths(kind, ranks, weights, n_kinds):
    """Standard deviations of the kernels of every kind; few of a kind lean on all kinds."""
    mass = np.bincount(kind, weights, n_kinds)
    total = np.array([np.bincount(kind, weights * u, n_kinds) for u in ranks.T]).T
    mean = total / np.maximum(mass, 1e-300)[:, None]
    squares = weights[:, None] * (ranks - mean[kind]) ** 2
    within = np.array([np.bincount(kind, s, n_kinds) for s in squares.T]).T
    number = effective_size(weights)
    pooled = within.sum(axis=0)
    variance = (number * within + 5 * pooled) / (number * mass + 5)[:, None]
    return np.maximum(KERNEL * np.sqrt(variance), 1e-4)


# ------------------------------------------------------------------ likelihood of the data


def make_edges(x, whole):
    """Edges of bins of outcomes: every small whole number its own, then equal ratios."""
    logs = np.log(x[x > 0])
    margin = max(0.5, 3 * logs.std())
    low, high = logs.min() - margin, logs.max() + margin
    step = max((high - low) / 300, np.clip(logs.std() / 16, 0.005, 0.03))
    grid = np.exp(np.arange(low, high + step, step))
    if not whole:
        return np.concatenate([[0.0], grid])
    return np.unique(np.concatenate([[-0.5, 0.5], np.floor(grid) + 0.5]))


def bin_of(values, edges):
    """Bins of outcomes, the last one for all beyond; int array."""
    inner = torch.as_tensor(edges[1:-1], dtype=torch.float32)
    values = torch.as_tensor(values, dtype=torch.float32)
    return torch.bucketize(values, inner).numpy().astype(np.int16)


def simulate(hyper, edges, n_instances, n_outcomes, generator):
    """Bins of the outcomes of every portfolio's instances; (M, n_instances, n_outcomes)."""
    size, chunk = len(hyper["level"]), max(1, 400_000 // (n_instances * n_outcomes))
    out = np.empty((size, n_instances, n_outcomes), dtype=np.int16)
    for start in range(0, size, chunk):
        part = {name: value[start : start + chunk] for name, value in hyper.items()}
        draw = draw_portfolios(as_tensors(part), n_instances, 0, n_outcomes, generator)
        out[start : start + chunk] = bin_of(draw.outcomes, edges)
    return out


def make_groups(data_counts, n_groups):
    """Group of every bin: quantiles of the observations, closer together in the tails."""
    share = (np.cumsum(data_counts) - data_counts / 2) / data_counts.sum()
    group = np.floor(n_groups * np.arccos(1 - 2 * share) / np.pi)
    return np.unique(group, return_inverse=True)[1]


def log_masses(bins, group):
    """Log probability of every group in every portfolio; (M, n_groups)."""
    n_groups = group.max() + 1
    counts = np.array([np.bincount(group[b.ravel()], minlength=n_groups) for b in bins])
    pooled = (counts.sum(axis=0) + 1) / (counts.sum() + n_groups)
    return np.log((counts + 5 * pooled) / (counts.sum(axis=1, keepdims=True) + 5))


def effective_size(weights):
    return weights.sum() ** 2 / (weights**2).sum()


def tempered(log_weights, target):
    """Weights raised to the largest power, at most one, that leaves a sample of some size."""
    low, power, high = 0.0, 1.0, 1.0
    for _ in range(30):
        enough = effective_size(special.softmax(power * log_weights)) >= target
        if enough and power == 1.0:
            return special.softmax(log_weights)
        low, high = (power, high) if enough else (low, power)
        power = (low + high) / 2
    return special.softmax(low * log_weights)


# ------------------------------------------------------------------ posterior predictive


class Predictive(NamedTuple):
    """Estimated law of the next outcome of every row."""

    edges: np.ndarray
    whole: bool
    masses: np.ndarray  # (3, n_rows, n_bins), probabilities of bins: by ALL, and by each half
    ess: float

    def decide(self, tau, part=ALL):
        """The tau-quantile of every row's next outcome."""
        mass, row = self.masses[part], np.arange(self.masses.shape[1])
        cdf = np.cumsum(mass, axis=1)
        k = np.minimum((cdf < tau).sum(axis=1), mass.shape[1] - 1)
        share = 1 - (cdf[row, k] - tau) / np.maximum(mass[row, k], 1e-300)
        decision = self.edges[k] + np.clip(share, 0, 1) * (self.edges[k + 1] - self.edges[k])
        if self.whole:
            return np.maximum(np.ceil(decision - 0.5), self.edges[k] + 0.5)
        return decision

    def expected_cost(self, decision, tau, part=ALL):
        """Mean over rows of the expected cost of their decisions."""
        middle = (self.edges[1:] + self.edges[:-1]) / 2
        cost = Newsvendor.from_service_level(tau).cost(decision[:, None], middle)
        return (self.masses[part] * cost).sum(axis=1).mean()


class Posterior:
    """Weighted portfolios of the last rounds, and what their instances show of outcomes."""

    def __init__(self):
        self.rounds = []

    def add(self, kind, ranks, log_weights, inverse_mass, bins):
        """Take another round in."""
        shift = log_weights.max()
        tables = pair_tables(bins, np.exp(log_weights - shift), inverse_mass)
        self.rounds.append((kind, ranks, log_weights, shift, *tables))

    def sample(self):
        """Kinds, ranks and log weights of all rounds."""
        return [np.concatenate(values) for values in list(zip(*self.rounds, strict=True))[:3]]

    @property
    def ess(self):
        """Effective sample size; 0 of no round."""
        return effective_size(special.softmax(self.sample()[2])) if self.rounds else 0.0

    def predictive(self, edges, whole, codes):
        """Of rows with observations in these bins; all rounds weigh as one sample."""
        *_, shifts, tables, squares = zip(*self.rounds, strict=True)
        factors = np.exp(np.array(shifts) - max(shifts))
        tables = sum(f * t for f, t in zip(factors, tables, strict=True))
        squares = sum(f**2 * q for f, q in zip(factors, squares, strict=True))
        known, row = np.unique(codes, return_inverse=True)
        masses = np.array([outcome_masses(tables, squares, code) for code in known])[row]
        return Predictive(edges, whole, masses.transpose(1, 0, 2), self.ess)


def outcome_masses(tables, squares, code):
    """Probabilities of the bins of the next outcome after an observation in a bin; (3, n_bins).

    Where too few simulated pairs begin in that bin, its neighbours count too.
    """
    for reach in range(len(squares)):
        rows = slice(max(0, code - reach), code + reach + 1)
        mass = tables[:, rows].sum(axis=1)
        total = mass.sum(axis=1, keepdims=True)
        if total.all() and total[ALL] ** 2 >= MIN_PAIRS * squares[rows].sum():
            break
    return mass / total


def pair_tables(bins, weights, inverse_mass):
    """Weights of the pairs (observation, later outcome) of simulated instances.

    The weight of a portfolio counts the observation itself already; dividing by its
    probability undoes that, since the simulated pairs show it once more.
    """
    n_bins, n_outcomes = inverse_mass.shape[1], bins.shape[2]
    halves, squares = np.zeros((2, n_bins, n_bins)), np.zeros(n_bins)
    first, second = np.nonzero(~np.eye(n_outcomes, dtype=bool))
    for i in np.flatnonzero(weights > 1e-6 * weights.max()):
        code = bins[i].astype(np.int64)
        pairs = (code[:, first] * n_bins + code[:, second]).ravel()
        pairs = np.bincount(pairs, minlength=n_bins**2).reshape(n_bins, n_bins)
        weight = weights[i] * inverse_mass[i]
        halves[i % 2] += weight[:, None] * pairs
        squares += weight**2 * pairs.sum(axis=1)
    return np.array([halves.sum(axis=0), *halves]), squares


def prior_predictive(prior, x, whole, seed):
    """The prior's predictive of the next outcome given one observation of every row."""
    rng, generator = np.random.RandomState(seed), torch.Generator().manual_seed(seed)
    near, edges = NearPrior(prior, x, whole, rng), make_edges(x, whole)
    codes = bin_of(x, edges)
    data_counts = np.bincount(codes, minlength=len(edges) - 1)
    source, posterior = near, Posterior()
    for k, settings in enumerate([*ROUNDS, *[LAST] * MAX_LAST]):
        size, n_instances, n_outcomes, n_groups = settings
        kind, ranks, log_ratio = source.draw(size, rng)
        bins = simulate(near.hyper(kind, ranks), edges, n_instances, n_outcomes, generator)
        group = make_groups(data_counts, n_groups)
        logs = log_masses(bins, group)
        log_weights = logs @ np.bincount(group, data_counts) - log_ratio
        if k >= len(ROUNDS):
            posterior.add(kind, ranks, log_weights, np.exp(-logs[:, group]), bins)
            kind, ranks, log_weights = posterior.sample()
        if posterior.ess >= ENOUGH:
            break
        source = Kernels(near, kind, ranks, tempered(log_weights, 150), rng)
    return posterior.predictive(edges, whole, codes)


# ------------------------------------------------------------------ tables


def read_prior(card):
    """The prior of a checkpoint's card, or the default one where it cannot be rebuilt."""
    try:
        prior = SyntheticPrior(**card["prior"])
        prior.hyperprior()
    except (KeyError, TypeError, ValueError) as error:
        print(f"the card's prior cannot be rebuilt ({error}): the default prior is used.")
        return SyntheticPrior()
    return prior


def ratio(costs, reference):
    """Excess of summed costs in percent, and the half width of its 95 % interval."""
    excess = costs.sum() / reference.sum() - 1
    rest = costs - (1 + excess) * reference
    error = rest.std(ddof=1) / np.sqrt(len(rest)) / reference.mean()
    return 100 * excess, 100 * error * stats.t.ppf(0.975, len(rest) - 1)


def decisions_of(X, checkpoint, tau, predictive):
    """Decisions of the network, the prior, and both halves of the prior's simulation."""
    problem = Newsvendor.from_service_level(tau)
    network = PretrainedDecisionTransformer(problem, checkpoint=checkpoint, device="cpu")
    own = [predictive.decide(tau, part) for part in (ALL, FIRST, SECOND)]
    return [network.fit(X).decide(X), *own]


def row_of_costs(network, prior, first, second, exact=np.nan):
    return [network, prior, (first + second) / 2, exact]


def believed_costs(decisions, tau, predictive):
    """What the prior expects to pay; each half of the simulation charges the other's decision."""
    network, _, first, second = decisions
    charged = [
        predictive.expected_cost(d, tau, part)
        for d, part in ((network, FIRST), (network, SECOND), (first, SECOND), (second, FIRST))
    ]
    return [np.mean(charged[:2]), np.mean(charged[2:]), np.nan, np.nan]


def homogeneous(law, portfolio):
    """The law of every row alike under which X has the same distribution."""
    if isinstance(law, GammaPoisson):
        p = law.rate / (1 + law.rate)
        return NegativeBinomialLaw(np.full(len(portfolio), law.shape), p)
    sd = np.hypot(law.spread, law.noise)
    return LognormalLaw(np.full(len(portfolio), law.mean), np.full(len(portfolio), sd))


def law_costs(law, prior, checkpoint, seed):
    """Mean costs a row of a portfolio, (n_taus, n_truths, 4), and the effective sample size."""
    portfolio = law.sample(N_INSTANCES, 1, random_state=seed)
    X, alike = portfolio.observations, homogeneous(law, portfolio)
    predictive = prior_predictive(prior, X[:, 0], portfolio.integer, seed)
    truths, out = [(law.truth(portfolio), law.predictive(portfolio)), (alike, alike)], []
    for tau in TAUS:
        problem = Newsvendor.from_service_level(tau)
        charged = portfolio.with_costs(problem.read_costs(X))
        decisions = decisions_of(X, checkpoint, tau, predictive)
        rows = []
        for truth, known in truths:
            every = [*decisions, problem.solve(known, charged)]
            costs = [problem.expected_cost(d, truth, charged).mean() for d in every]
            rows.append(row_of_costs(*costs))
        out.append([*rows, np.mean(rows, axis=0), believed_costs(decisions, tau, predictive)])
    return np.array(out), predictive.ess


HEADER = f"{'':49}{'network':>9}{'prior':>9}{'exact':>9}  over prior, %   sim, %   ess  min"


def line(name, tau, costs, ess):
    """One line of a table; costs (n_portfolios, 4)."""
    network, own, halves, exact = costs.T
    over, width = ratio(network, own)
    means = "".join(f"{c.mean():9.3f}" if np.isfinite(c).all() else " " * 9 for c in (own, exact))
    sim = f"{ratio(halves, own)[0]:+8.2f}" if np.isfinite(halves).all() else " " * 8
    print(
        f"{name:44}{tau:<5g}{network.mean():9.3f}{means}{over:+8.2f} +- {width:5.2f}"
        f"{sim}{np.median(ess):6.0f}{np.min(ess):5.0f}",
        flush=True,
    )


def laws_table(prior, checkpoint, n_portfolios):
    print(f"\nn=1, N={N_INSTANCES}, {n_portfolios} portfolios a law: mean cost a row")
    print(HEADER)
    for law in LAWS:
        runs = [law_costs(law, prior, checkpoint, seed) for seed in range(n_portfolios)]
        costs, ess = np.array([run[0] for run in runs]), [run[1] for run in runs]
        for i, truth in enumerate(("rows differ", "rows alike", "either", "prior's belief")):
            for j, tau in enumerate(TAUS):
                line(f"{law!r:28} {truth}", tau, costs[:, j, i], ess)


def draw_case(prior, seed, n_outcomes=400):
    """One whole-number portfolio of the prior: an observation a row, and later outcomes."""
    rng, generator = np.random.RandomState(seed), torch.Generator().manual_seed(seed)
    while True:
        hyper = prior.hyperprior().draw(200, rng)
        hyper = {name: v[hyper["whole"] > 0][:1] for name, v in hyper.items()}
        hyper["missing"] = np.zeros(1)
        draw = draw_portfolios(as_tensors(hyper), N_INSTANCES, 1, n_outcomes, generator)
        X = draw.observations[0].numpy().astype(float)
        if (X > 0).sum() >= 10:
            return X, draw.outcomes[0].numpy().astype(float)


def prior_costs(prior, checkpoint, seed):
    """Costs of a portfolio of the prior in units of what its decision expects; (n_taus, 2, 4)."""
    X, outcomes = draw_case(prior, seed)
    predictive = prior_predictive(prior, X[:, 0], True, seed + 1_000_000)
    out = []
    for tau in TAUS:
        cost = Newsvendor.from_service_level(tau).cost
        decisions = decisions_of(X, checkpoint, tau, predictive)
        paid = row_of_costs(*(cost(d[:, None], outcomes).mean() for d in decisions))
        believed = believed_costs(decisions, tau, predictive)
        out.append(np.array([paid, believed]) / predictive.expected_cost(decisions[1], tau))
    return np.array(out), predictive.ess


def prior_table(prior, checkpoint, n_portfolios):
    print(
        f"\nn=1, N={N_INSTANCES}, {n_portfolios} whole-number portfolios of the prior itself "
        "(at least 10 rows above zero):\ncosts in units of what the prior's decision expects, "
        "so its own should be 1 on average"
    )
    print(HEADER)
    runs = [prior_costs(prior, checkpoint, seed) for seed in range(n_portfolios)]
    costs, ess = np.array([run[0] for run in runs]), np.array([run[1] for run in runs])
    good = ess >= ENOUGH
    for name, kept in (("all", ess > 0), (f"the {good.sum()} with ess >= {ENOUGH}", good)):
        for i, truth in enumerate(("outcomes", "prior's belief") if kept.sum() > 1 else ()):
            for j, tau in enumerate(TAUS):
                line(f"{name:28} {truth}", tau, costs[kept][:, j, i], ess[kept])
    print("believed excess of single portfolios, %: quantiles 0.1, 0.25, 0.5, 0.75, 0.9")
    single = 100 * (costs[:, :, 1, 0] / costs[:, :, 1, 1] - 1)
    table = np.quantile(single, (0.1, 0.25, 0.5, 0.75, 0.9), axis=0).T
    for tau, row in zip(TAUS, table, strict=True):
        print(f"{'':44}{tau:<5g}" + "".join(f"{value:+9.1f}" for value in row))


# ------------------------------------------------------------------ check of the method


def gamma_poisson_posterior(hyper, x):
    """Log likelihood of every draw (level, spread), and the next outcome's law given one."""
    shape = 1 / np.expm1(hyper["spread"] ** 2)
    rate = shape / hyper["level"]
    values, counts = np.unique(x, return_counts=True)
    p = rate / (1 + rate)
    logs = sum(c * stats.nbinom.logpmf(v, shape, p) for v, c in zip(values, counts, strict=True))

    def law(i):
        after = rate[i] + 1
        return NegativeBinomialLaw(shape[i] + x, after / (after + 1))

    return logs, law


def lognormal_posterior(hyper, x):
    """The same of lognormal means and noise, where the data show only the sum of both."""
    spread, noise = hyper["spread"] ** 2, np.log1p(hyper["noise"] ** 2)
    centre, total, y = np.log(hyper["level"]) - noise / 2, spread + noise, np.log(x)
    squares = ((y - y.mean()) ** 2).sum() + len(y) * (y.mean() - centre) ** 2
    logs = -0.5 * (squares / total + len(y) * np.log(total))

    def law(i):
        share = spread[i] / total[i]
        mu = centre[i] + share * (y - centre[i])
        return LognormalLaw(mu, np.sqrt(share * noise[i] + noise[i]))

    return logs, law


PLAIN = {
    "noise_spread": 0.0,
    "intermittent_share": 0.0,
    "bulk_share": 0.0,
    "ragged_share": 0.0,
}
CHECKS = {
    "Poisson, gamma means, hyperparameters known": (
        SyntheticPrior(
            level=10.0,
            spread=np.sqrt(np.log(1.5)),
            spread_families="gamma",
            noise_families="poisson",
            **PLAIN,
        ),
        gamma_poisson_posterior,
    ),
    "Poisson, gamma means, level and spread unknown": (
        SyntheticPrior(
            level=(1.0, 100.0),
            spread=(0.1, 1.2),
            spread_families="gamma",
            noise_families="poisson",
            **PLAIN,
        ),
        gamma_poisson_posterior,
    ),
    "lognormal; level, spread and noise unknown": (
        SyntheticPrior(
            level=(10.0, 300.0),
            spread_families="lognormal",
            noise_families="lognormal",
            whole_share=0.0,
            **PLAIN,
        ),
        lognormal_posterior,
    ),
}


def exact_predictive(prior, posterior, x, whole, rng):
    """Predictive of every row, a mixture over draws from the exact posterior."""
    hyper = prior.hyperprior().draw(N_TABLE, rng)
    logs, law = posterior(hyper, x)
    kept = rng.choice(N_TABLE, size=N_EXACT, p=special.softmax(logs))
    weights = np.full((len(x), N_EXACT), 1 / N_EXACT)
    return MixtureLaw([law(i) for i in kept], weights, integer=whole)


def check_table(n_portfolios=3):
    print("\nestimated against exact decisions: cost under the exact predictive, over the least")
    print(f"{'':50}" + "".join(f"  tau={tau:<6g}" for tau in TAUS) + "   ess")
    for name, (prior, posterior) in CHECKS.items():
        costs, ess = np.zeros((len(TAUS), 2)), []
        for seed in range(n_portfolios):
            (portfolio,) = prior.sample(n_instances=200, n_observations=1, random_state=seed)
            x, whole = portfolio.observations[:, 0], portfolio.integer
            exact = exact_predictive(prior, posterior, x, whole, np.random.RandomState(seed))
            estimated = prior_predictive(prior, x, whole, seed)
            ess.append(estimated.ess)
            for j, tau in enumerate(TAUS):
                problem = Newsvendor.from_service_level(tau)
                charged = portfolio.with_costs(problem.read_costs(portfolio.observations))
                decisions = [estimated.decide(tau), problem.solve(exact, charged)]
                costs[j] += [problem.expected_cost(d, exact, charged).sum() for d in decisions]
        row = "".join(f"  {100 * (own / best - 1):7.3f} %" for own, best in costs)
        print(f"{name:50}{row} {np.median(ess):6.0f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default="demand")
    parser.add_argument("--portfolios", type=int, default=6, help="of every law")
    parser.add_argument("--draws", type=int, default=30, help="portfolios of the prior")
    parser.add_argument("--check", action="store_true", help="against exact posteriors")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.check:
        check_table()
        return 0
    checkpoint = Checkpoint.load(options.checkpoint)
    prior = read_prior(checkpoint.card)
    laws_table(prior, checkpoint, options.portfolios)
    prior_table(prior, checkpoint, options.draws)
    return 0


if __name__ == "__main__":
    sys.exit(main())
