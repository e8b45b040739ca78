"""Ranges and distributions that a portfolio's hyperparameters are drawn from."""

import json
import numbers
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from scipy import stats


class RangeRule(NamedTuple):
    """What a range parameter may be, and how it is drawn."""

    low: float
    high: float
    log: bool = False  # drawn on the log scale
    peaked: bool = False  # from a triangular distribution, half of it common to all such
    whole: bool = False  # its ends are whole numbers


def is_distribution(value):
    """Whether ``value`` is a frozen distribution, as `RandomizedSearchCV` takes them."""
    return hasattr(value, "dist") and callable(getattr(value, "rvs", None))


def check_range(name, value, low, high, whole=False):
    """Refuse a hyperprior that is no range or distribution within [low, high].

    Raises
    ------
    ValueError
        If ``value`` is neither a number, a pair ``(lowest, highest)`` nor a frozen
        distribution, is reversed, or leaves ``[low, high]``.
    """
    allowed = (
        "a number, a pair (lowest, highest) or a frozen scipy.stats distribution of bounded "
        "support, within "
        f"[{low:g}, {high:g}]"
    )
    if is_distribution(value):
        ends = value.support()
        if not (ends[0] >= low and ends[1] <= high):
            raise ValueError(
                f"{name} must be {allowed}; got a distribution with support "
                f"{tuple(map(float, ends))}."
            )
        return value
    pair = (value, value) if isinstance(value, numbers.Real) else value
    try:
        if isinstance(pair, str):
            raise TypeError("a str is no pair, though its characters may be digits")
        first, last = (float(end) for end in pair)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be {allowed}; got {value!r}.") from None
    if not (low <= first <= high and low <= last <= high):
        raise ValueError(f"{name} must be {allowed}; got {value!r}.")
    if first > last:
        raise ValueError(
            f"{name} must be {allowed}, lowest first; got the reversed range {value!r}."
        )
    if whole and (first != int(first) or last != int(last)):
        raise ValueError(f"{name} must have whole-number ends; got {value!r}.")
    return first, last


def draw_range(value, size, rng, rule, common=None):
    """``size`` draws from a checked hyperprior, of the shape that its rule says.

    ``common`` are uniform draws that the peaked ranges of a portfolio share.
    """
    if is_distribution(value):
        return np.asarray(value.rvs(size=size, random_state=rng), dtype=float)
    low, high = value
    u = rng.uniform(size=size)
    if rule.peaked:
        u = (u + (rng.uniform(size=size) if common is None else common)) / 2
    if rule.log and low > 0:
        return np.exp(np.log(low) + u * (np.log(high) - np.log(low)))
    return low + u * (high - low)


def check_weights(name, value, known):
    """Family names (equally likely) or a ``{name: weight}`` mapping, as weights in order of
    ``known``.

    Raises
    ------
    ValueError
        If a family is unknown, a weight is negative, or nothing is left.
    """
    if isinstance(value, str):
        value = (value,)
    try:
        weights = dict(value) if hasattr(value, "keys") else dict.fromkeys(value, 1.0)
    except TypeError:
        weights = {}
    unknown = [family for family in weights if family not in known]
    bad = [w for w in weights.values() if not (isinstance(w, numbers.Real) and 0 <= w < np.inf)]
    if unknown or bad or not sum(weights.values()) > 0:
        raise ValueError(
            f"{name} must be a list of, or a mapping of non-negative weights to, some of "
            f"{', '.join(known)}; got {value!r}."
        )
    out = np.array([float(weights.get(family, 0.0)) for family in known])
    return out / out.sum()


def check_share(name, value):
    """Refuse what is no share between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a share between 0 and 1; got {value!r}.")
    return float(value)


@dataclass(frozen=True)
class HyperPrior(ABC):
    """Checked hyperpriors of all the parameters that a portfolio is drawn with; one class a kind.

    Parameters
    ----------
    ranges : dict of str to (float, float) or frozen distribution

    families : dict of str to ndarray
        Weights in the order of the known families.

    shares : dict of str to float
    """

    rules: ClassVar  # name of a range -> RangeRule
    known_families: ClassVar  # name of a parameter -> names of families
    known_shares: ClassVar  # names of shares

    ranges: dict
    families: dict
    shares: dict

    @classmethod
    def from_params(cls, params):
        """Check the parameters of a prior."""
        return cls(
            {
                name: check_range(name, params[name], rule.low, rule.high, rule.whole)
                for name, rule in cls.rules.items()
            },
            {
                name: check_weights(name, params[name], known)
                for name, known in cls.known_families.items()
            },
            {name: check_share(name, params[name]) for name in cls.known_shares},
        )

    def draw(self, size, rng):
        """Hyperparameters of ``size`` portfolios; dict of ndarray of shape (size,)."""
        common = rng.uniform(size=size)
        hyper = {
            name: draw_range(self.ranges[name], size, rng, rule, common)
            for name, rule in self.rules.items()
            if not rule.whole
        }
        for name, known in self.known_families.items():
            code = rng.choice(len(known), size=size, p=self.families[name])
            hyper[name.replace("families", "family")] = code
        happens = {name: rng.uniform(size=size) < share for name, share in self.shares.items()}
        if "ragged_share" in happens:
            hyper["missing"] = hyper["missing"] * happens["ragged_share"]
        return self._settle(hyper, happens)

    @abstractmethod
    def _settle(self, hyper, happens):
        """Hyperparameters together with what happens in each portfolio."""

    def draw_shape(self, rng):
        """Numbers of instances and of observation cells of one batch, small ones more often.

        The logarithms of the number of instances, and of two plus the number of cells, are
        uniform.
        """
        n_instances = self._draw_count("n_instances", rng, 0)
        n_cells = self._draw_count("n_observations", rng, 2)
        return max(1, n_instances), max(1, n_cells)

    def bounds(self, name):
        """Lowest and highest value of a range parameter."""
        value = self.ranges[name]
        return value.support() if is_distribution(value) else value

    def _draw_count(self, name, rng, offset):
        """A whole number from a range; the logarithm of it plus ``offset`` is uniform."""
        value = self.ranges[name]
        if is_distribution(value):
            return int(value.rvs(random_state=rng))
        low, high = max(value[0], 1) + offset, value[1] + 1 + offset
        return int(low * (high / low) ** rng.uniform() - offset)


def as_tensors(hyper):
    """Hyperparameters as the tensors that `draw_portfolios` takes."""
    return {
        name: torch.as_tensor(value if value.dtype.kind == "i" else value.astype(np.float32))
        for name, value in hyper.items()
    }


def canonical(value):
    """A JSON-ready description that is equal for equal hyperpriors."""
    if is_distribution(value):
        if not hasattr(stats, value.dist.name):
            raise ValueError(f"cannot describe {value!r}: no distribution of scipy.stats.")
        kwds = {key: canonical(kw) for key, kw in sorted(value.kwds.items())}
        return {"distribution": value.dist.name, "args": canonical(value.args), "kwds": kwds}
    if hasattr(value, "keys"):
        return {str(key): canonical(value[key]) for key in sorted(value)}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [canonical(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"cannot describe {value!r} in JSON.")


def restored(value):
    """A hyperprior from its description, as `canonical` gives it.

    Raises
    ------
    ValueError
        If it names no distribution of scipy.stats.
    """
    if isinstance(value, dict) and "distribution" in value:
        name = value["distribution"]
        named = getattr(stats, name, None) if isinstance(name, str) else None
        if not isinstance(named, (stats.rv_continuous, stats.rv_discrete)):
            raise ValueError(f"distribution must be one of scipy.stats; got {name!r}.")
        kwds = {name: restored(kw) for name, kw in value["kwds"].items()}
        return named(*restored(value["args"]), **kwds)
    return tuple(map(restored, value)) if isinstance(value, list) else value


def canonical_key(description):
    """One line of JSON with sorted keys, fit to be a cache key."""
    return json.dumps(canonical(description), sort_keys=True, separators=(",", ":"))
