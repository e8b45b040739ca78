"""The decision network: rows attend to their portfolio through a few tokens.

Plain torch, one idea a class. Shapes are written ``(B, N, n)``: ``B`` portfolios of
``N`` rows with ``n`` observation cells each; ``T`` is the number of tokens, ``K`` the
number of knots of the quantile function and ``d`` the width of the network.

The road of a row::

    observations --standardise--> features --RowEncoder--> row state
    tokens  <--gather--  row states of the context     } once a layer: the tokens of all
    row state <--read--  tokens                        } layers are the whole context
    row state --head--> quantiles, in units of the portfolio

What holds exactly, by construction: the order of observations, of rows and of context
rows does not matter; quantiles never cross; continuous outcomes are scale-equivariant, and real
values location-equivariant too. How observations are read, and which head answers, depends on
the kind of outcomes.
"""

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from sklearn_pttf._kinds.head import mlp
from sklearn_pttf._kinds.registry import KINDS, name_of_kind
from sklearn_pttf._tables.evidence import Evidence

BLOCK_CELLS = 3_000  # that are encoded together where nothing is learned, of
BLOCK_ROWS = 16  # rows or a multiple


@dataclass(frozen=True)
class NetworkConfig:
    """Size of a `DecisionNetwork`.

    Parameters
    ----------
    width : int, default=64
        Width of the row and token states; a multiple of ``n_heads``.

    n_layers : int, default=4
        Number of rounds of gathering from, and reading by, the rows.

    n_tokens : int, default=16
        Number of inducing tokens that carry the portfolio's structure.

    n_heads : int, default=4
        Number of attention heads.

    observation_width : int, default=48
        Width of the encoder of a single observation.

    n_knots : int, default=33
        Number of knots of the quantile function; odd, so that one is the median.

    tail : float, default=0.001
        Level of the lowest knot; the highest is at one minus this.

    capped : bool, default=False
        Whether there are layers of their own for sales that stock may have capped, of kinds that
        read stock. Tables without such sales are decided alike with and without them.

    outcomes : {"demand", "values", "counts", "prices"}, default="demand"
        What is predicted: demand, never negative and relative to its level; real values,
        whose origin and unit mean nothing, with the law of every row's mean beside; Poisson counts,
        with the law of every row's mean; or demand at prices. Values were once ``"real"`` and
        prices ``"price"``, which is read as the same. Other kinds have the names that they were
        registered by (`register_kind`).

    Raises
    ------
    ValueError
        If a size makes no sense, or there is no such kind of outcomes.

    Examples
    --------
    >>> from sklearn_pttf import NetworkConfig
    >>> config = NetworkConfig(width=32, n_layers=2, n_knots=3, tail=0.1)
    >>> [round(level, 3) for level in config.levels]
    [0.1, 0.5, 0.9]
    """

    width: int = 64
    n_layers: int = 4
    n_tokens: int = 16
    n_heads: int = 4
    observation_width: int = 48
    n_knots: int = 33
    tail: float = 0.001
    outcomes: str = "demand"
    capped: bool = False

    def __post_init__(self):
        for name in ("width", "n_layers", "n_tokens", "n_heads", "observation_width"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}.")
        if self.width % self.n_heads:
            raise ValueError(
                f"width must be a multiple of n_heads; got width={self.width} and "
                f"n_heads={self.n_heads}."
            )
        if not isinstance(self.n_knots, int) or self.n_knots < 3 or self.n_knots % 2 == 0:
            raise ValueError(
                f"n_knots must be an odd whole number of at least 3; got {self.n_knots!r}."
            )
        if not 0 < self.tail < 0.5:
            raise ValueError(f"tail must lie between 0 and 0.5; got {self.tail!r}.")
        object.__setattr__(self, "outcomes", name_of_kind(self.outcomes))
        if self.capped and not KINDS[self.outcomes].reads_stock():
            raise ValueError(
                f"capped must be False for outcomes={self.outcomes!r}, which reads no stock; got "
                "True."
            )

    @property
    def levels(self):
        """Levels of the knots, equally spaced on the logit scale; tuple of floats."""
        end = math.log(1 / self.tail - 1)
        step = 2 * end / (self.n_knots - 1)
        return tuple(1 / (1 + math.exp(end - step * k)) for k in range(self.n_knots))

    def to_dict(self):
        """The parameters by name, as cards keep them; dict. ``capped`` only where it is True."""
        return {name: x for name, x in asdict(self).items() if name != "capped" or x}


class Context(NamedTuple):
    """All that later rows need to know about the portfolio."""

    units: tuple  # of tensors (B, 1), of the kind's `units_type`
    tokens: tuple  # one tensor (B, T, d) a layer


class RowEncoder(nn.Module):
    """From a row's observations to its first state: learned means and fixed summaries."""

    def __init__(self, config):
        super().__init__()
        self.kind = KINDS[config.outcomes]
        width = config.observation_width
        self.cell = nn.Sequential(nn.Linear(self.kind.n_cell_features, width), nn.GELU())
        self.cell_out = nn.Linear(width, width)
        n_features = self.kind.n_row_features + self.kind.n_portfolio_features
        self.mix = mlp(width + n_features, 2 * config.width, config.width)

    def forward(self, rows, units):
        # the mean over observations is permutation-invariant
        pooled = self._pooled(self._features("cell", rows, units), rows.seen)
        pooled = self.cell_out(pooled / rows.count.clamp_min(1).unsqueeze(-1))
        features = self._features("row", rows, units)
        portfolio = self._features("portfolio", units).expand(*features.shape[:-1], -1)
        return self.mix(torch.cat([pooled, features, portfolio], dim=-1))

    def _pooled(self, features, seen):
        """Sums over cells, each by how much it counts."""
        # (B, N, n, f), (B, N, n) -> (B, N, w)
        size = features.shape[1]
        if not torch.is_grad_enabled():  # a few rows at a time, whose cells the cache holds
            # in whole blocks of products, so that digits are those of all rows at once
            size = BLOCK_ROWS * max(1, BLOCK_CELLS // (BLOCK_ROWS * max(1, seen.shape[-1])))
        blocks = zip(features.split(size, dim=1), seen.split(size, dim=1), strict=True)
        sums = [(weights.unsqueeze(-2) @ self.cell(cells)).squeeze(-2) for cells, weights in blocks]
        return sums[0] if len(sums) == 1 else torch.cat(sums, dim=1)

    def _features(self, part, *seen):
        """What the kind's function gives, refused where that is of another width than it says."""
        name = f"{part}_features"
        features, width = getattr(self.kind, name)(*seen), getattr(self.kind, f"n_{name}")
        if features.shape[-1] != width:
            raise ValueError(
                f"{name} of kind {self.kind.name!r} must give n_{name}={width} features; got "
                f"{features.shape[-1]}."
            )
        return features


class CappedCells(nn.Module):
    """What capped sales change in the states of rows and tokens; exactly nothing without any."""

    def __init__(self, config):
        super().__init__()
        self.kind = KINDS[config.outcomes]
        width, shared = config.observation_width, self.kind.n_capped_portfolio_features
        of_row = self.kind.n_capped_row_features + shared
        self.cell = nn.Sequential(nn.Linear(self.kind.n_capped_cell_features, width), nn.GELU())
        self.first = mlp(width + of_row, 2 * config.width, config.width)
        self.tokens = nn.Linear(shared, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.last = mlp(config.width + of_row, 2 * config.width, config.width)
        for layer in (self.first[-1], self.tokens, self.last[-1]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def first_states(self, states, rows, units):
        """States of rows, ``(B, N, d)``, as they are when cells are capped."""
        cells = self.cell(self.kind.capped_cell_features(rows, units))
        pooled = (rows.capped.unsqueeze(-2) @ cells).squeeze(-2)
        pooled = pooled / rows.count.clamp_min(1).unsqueeze(-1)
        seen = torch.cat([pooled, self._of_rows(rows, units)], dim=-1)
        return states + self._any(units) * self.first(seen)

    def first_tokens(self, tokens, units):
        """Tokens, ``(B, T, d)``, likewise."""
        shared = self.kind.capped_portfolio_features(units)
        return tokens + self._any(units) * self.tokens(shared)

    def last_states(self, states, rows, units):
        """States that heads answer from, likewise."""
        seen = torch.cat([self.norm(states), self._of_rows(rows, units)], dim=-1)
        return states + self._any(units) * self.last(seen)

    def _of_rows(self, rows, units):
        own = self.kind.capped_row_features(rows, units)
        shared = self.kind.capped_portfolio_features(units).expand(*own.shape[:-1], -1)
        return torch.cat([own, shared], dim=-1)

    @staticmethod
    def _any(units):
        """1 where anything of a portfolio is capped; (B, 1, 1)."""
        return (units.capped_share > 0).to(units.scale.dtype).unsqueeze(-1)


class Attention(nn.Module):
    """Multi-head attention whose sums over keys can be made piece by piece."""

    def __init__(self, width, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.queries = nn.Linear(width, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def _split(self, x):
        # (B, N, d) -> (B, heads, N, d / heads)
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def partial(self, query_states, key_states, mask=None):
        """Largest logit, sum of weights and weighted sum of values, over these keys."""
        q = self._split(self.queries(query_states))
        keys, values = self.keys_values(key_states).chunk(2, dim=-1)
        logits = q @ self._split(keys).transpose(-1, -2) / math.sqrt(q.shape[-1])
        if mask is not None:
            logits = logits.masked_fill(~mask[:, None, None, :], -1e30)
        top = logits.amax(-1, keepdim=True)
        weights = (logits - top).exp()
        return top, weights.sum(-1, keepdim=True), weights @ self._split(values)

    @staticmethod
    def merge(left, right):
        """The partial sums over two disjoint sets of keys, as one."""
        top = torch.maximum(left[0], right[0])
        a, b = (left[0] - top).exp(), (right[0] - top).exp()
        return top, a * left[1] + b * right[1], a * left[2] + b * right[2]

    def finish(self, partial):
        _, total, summed = partial
        return self.out((summed / total).transpose(1, 2).flatten(-2))

    def forward(self, query_states, key_states):
        # (B, Q, d), (B, T, d) -> (B, Q, d)
        q = self._split(self.queries(query_states))
        keys, values = self.keys_values(key_states).chunk(2, dim=-1)
        mixed = scaled_dot_product_attention(q, self._split(keys), self._split(values))
        return self.out(mixed.transpose(1, 2).flatten(-2))


class Layer(nn.Module):
    """Tokens gather from the context rows, think, and are read by the rows."""

    def __init__(self, width, n_heads):
        super().__init__()
        self.gather = Attention(width, n_heads)
        self.think = Attention(width, n_heads)
        self.read = Attention(width, n_heads)
        self.token_mlp = mlp(width, 2 * width, width)
        self.row_mlp = mlp(width, 2 * width, width)
        self.gather_tokens, self.gather_rows = nn.LayerNorm(width), nn.LayerNorm(width)
        self.think_norm, self.token_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.read_rows, self.read_tokens = nn.LayerNorm(width), nn.LayerNorm(width)
        self.row_norm = nn.LayerNorm(width)

    def gather_partial(self, tokens, states, mask=None):
        return self.gather.partial(self.gather_tokens(tokens), self.gather_rows(states), mask)

    def update_tokens(self, tokens, partial):
        tokens = tokens + self.gather.finish(partial)
        normed = self.think_norm(tokens)
        tokens = tokens + self.think(normed, normed)
        return tokens + self.token_mlp(self.token_norm(tokens))

    def update_rows(self, states, tokens):
        states = states + self.read(self.read_rows(states), self.read_tokens(tokens))
        return states + self.row_mlp(self.row_norm(states))


class DecisionNetwork(nn.Module):
    """From portfolios of short histories to a predictive quantile function a row.

    Parameters
    ----------
    config : NetworkConfig
        Size of the network.
    """

    def __init__(self, config=None):
        super().__init__()
        self.config = config = config or NetworkConfig()
        self.kind = KINDS[config.outcomes]
        self.encoder = RowEncoder(config)
        self.tokens = nn.Parameter(torch.randn(config.n_tokens, config.width) * 0.5)
        self.portfolio = nn.Linear(self.kind.n_portfolio_features, config.width)
        self.layers = nn.ModuleList(
            [Layer(config.width, config.n_heads) for _ in range(config.n_layers)]
        )
        self.head = self.kind.head(config)
        self.capped = CappedCells(config) if config.capped else None

    @classmethod
    def of_moments(cls, config):
        """A network that says what classical credibility says, and has learned nothing."""
        with torch.random.fork_rng(devices=[]):
            network = cls(config)
        network.head.forget()  # whatever the other weights are
        return network.eval()

    def forward(self, observations, whole, in_context=None, candidates=None, **beside):
        """Predict every row, with the rows ``in_context`` (default: all) as context.

        Parameters
        ----------
        observations : Tensor of shape (B, N, n)
            NaN marks a missing observation.

        whole : Tensor of shape (B,)
            1 where a portfolio's outcomes are whole numbers, else 0.

        in_context : bool Tensor of shape (B, N), default=None

        candidates : Tensor of shape (B, N, G), default=None
            Prices at which a network of demand at prices gives the mean too.

        **beside : Tensor
            Other fields of `Evidence`, as the kind of outcomes reads them.

        Returns
        -------
        NetworkOutput
        """
        rows = self.kind.rows(Evidence(observations, **beside))
        if in_context is None:
            in_context = torch.ones_like(rows.count, dtype=torch.bool)
        weights = in_context.to(observations.dtype)
        units = self.kind.units([rows], [weights], whole[:, None])
        rows = self.kind.placed(rows, units)
        in_context = in_context & self.kind.counted(rows, units)
        states = self._first_states(rows, units)
        tokens = self._first_tokens(units)
        for layer in self.layers:
            tokens = layer.update_tokens(tokens, layer.gather_partial(tokens, states, in_context))
            states = layer.update_rows(states, tokens)
        return self._answer(states, rows, units, candidates)

    def encode_context(self, chunks, whole, told=lambda: None):
        """The context of one portfolio, from its rows in pieces of bounded size.

        Parameters
        ----------
        chunks : list of Evidence
            Of the context rows, of tensors ``(N_c, ...)``.

        whole : bool
            Whether outcomes are whole numbers.

        told : callable, default=None
            Called after every piece of every layer.

        Returns
        -------
        Context
        """
        rows = [self.kind.rows(_portfolio_of_one(chunk)) for chunk in chunks]
        like = chunks[0].observations
        weights = [like.new_ones(1, len(chunk)) for chunk in chunks]
        units = self.kind.units(rows, weights, like.new_full((1, 1), float(whole)))
        rows = [self.kind.placed(piece, units) for piece in rows]
        counted = [self.kind.counted(piece, units) for piece in rows]
        states = [self._first_states(piece, units) for piece in rows]
        tokens, kept = self._first_tokens(units), []
        for layer in self.layers:
            partial = None
            for piece, mask in zip(states, counted, strict=True):
                new = layer.gather_partial(tokens, piece, mask)
                partial = new if partial is None else Attention.merge(partial, new)
                told()
            tokens = layer.update_tokens(tokens, partial)
            kept.append(tokens)
            if layer is not self.layers[-1] or self.kind.levelled:
                for k, piece in enumerate(states):
                    states[k] = layer.update_rows(piece, tokens)
        if self.kind.levelled:
            means = [self.head.means(*each, units) for each in zip(states, rows, strict=True)]
            units = self.kind.levelled(units, rows, means)
        return Context(units, tuple(kept))

    def predict_rows(self, chunk, context, candidates=None):
        """Predict rows, as in `encode_context`, given a `Context`; each row on its own."""
        rows = self.kind.placed(self.kind.rows(_portfolio_of_one(chunk)), context.units)
        states = self._first_states(rows, context.units)
        for layer, tokens in zip(self.layers, context.tokens, strict=True):
            states = layer.update_rows(states, tokens)
        return self._answer(states, rows, context.units, candidates)

    def _answer(self, states, rows, units, candidates):
        asked = {} if candidates is None else {"candidates": candidates}
        if self._has_capped(rows):
            states = self.capped.last_states(states, rows, units)
        return self.head(states, rows, units, **asked)

    def _first_states(self, rows, units):
        # (B, N, n) -> (B, N, d)
        states = self.encoder(rows, units)
        return self.capped.first_states(states, rows, units) if self._has_capped(rows) else states

    def _first_tokens(self, units):
        # (B, 1, f) -> (B, T, d)
        tokens = self.tokens + self.portfolio(self.kind.portfolio_features(units))
        return tokens if self.capped is None else self.capped.first_tokens(tokens, units)

    def _has_capped(self, rows):
        """Whether these rows tell of capped cells, and there are layers that read it."""
        return self.capped is not None and rows.capped is not None


def _portfolio_of_one(chunk):
    """The same evidence with a leading dimension."""
    return chunk.map(lambda part: part.unsqueeze(0))
