"""The decision network: rows attend to their portfolio through a few tokens.

Plain torch, one idea a class. Shapes are written ``(B, N, n)``: ``B`` portfolios of
``N`` rows with ``n`` observation cells each; ``T`` is the number of tokens, ``K`` the
number of knots of the quantile function and ``d`` the width of the network.

The road of a row::

    observations --standardise--> features --RowEncoder--> row state
    tokens  <--gather--  row states of the context     } once a layer: the tokens of all
    row state <--read--  tokens                        } layers are the whole context
    row state --QuantileHead--> quantiles, in units of the portfolio

What holds exactly, by construction: the order of observations, of rows and of context
rows does not matter; quantiles never cross; continuous outcomes are scale-equivariant.
"""

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.functional import pad, scaled_dot_product_attention, softplus

from sklearn_pttf._features import (
    N_CELL_FEATURES,
    N_PORTFOLIO_FEATURES,
    N_ROW_FEATURES,
    cell_features,
    portfolio_features,
    row_features,
)
from sklearn_pttf._units import (
    PortfolioUnits,
    as_rows,
    excess_log_noise,
    level_credibility,
    noise_credibility,
    portfolio_units,
    row_level,
    row_noise,
    zero_credibility,
)

ZERO_WIDTH = 0.5  # of a zero of continuous outcomes, in units of a row's uncertainty


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
    """

    width: int = 64
    n_layers: int = 4
    n_tokens: int = 16
    n_heads: int = 4
    observation_width: int = 48
    n_knots: int = 33
    tail: float = 0.001

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

    @property
    def levels(self):
        """Levels of the knots, equally spaced on the logit scale; tuple of floats."""
        end = math.log(1 / self.tail - 1)
        step = 2 * end / (self.n_knots - 1)
        return tuple(1 / (1 + math.exp(end - step * k)) for k in range(self.n_knots))

    def to_dict(self):
        return asdict(self)


class Context(NamedTuple):
    """All that later rows need to know about the portfolio."""

    units: PortfolioUnits
    tokens: tuple  # one tensor (B, T, d) a layer


class NetworkOutput(NamedTuple):
    """Quantiles in the portfolio's unit, with what turns them into outcomes."""

    quantiles: torch.Tensor  # (B, N, K), increasing in K, in units of `scale`
    scale: torch.Tensor  # (B, 1): multiply by it to get outcomes
    grain: torch.Tensor  # (B, 1): width of a whole number in units of scale; 0 if none
    typical: torch.Tensor  # (B, N): size of a row's uncertainty, from evidence only
    zero_width: torch.Tensor  # (B, N): a zero stands for what is up to this much below 0


def _mlp(n_in, hidden, n_out):
    return nn.Sequential(nn.Linear(n_in, hidden), nn.GELU(), nn.Linear(hidden, n_out))


class RowEncoder(nn.Module):
    """From a row's observations to its first state: learned means and fixed summaries."""

    def __init__(self, config):
        super().__init__()
        width = config.observation_width
        self.cell = nn.Sequential(nn.Linear(N_CELL_FEATURES, width), nn.GELU())
        self.cell_out = nn.Linear(width, width)
        self.mix = _mlp(
            width + N_ROW_FEATURES + N_PORTFOLIO_FEATURES, 2 * config.width, config.width
        )

    def forward(self, rows, units, level):
        # (B, N, n, 7) -> (B, N, w): the mean over observations is permutation-invariant
        cells = self.cell(cell_features(rows, units, level))
        pooled = (rows.seen.unsqueeze(-2) @ cells).squeeze(-2)
        pooled = self.cell_out(pooled / rows.count.clamp_min(1).unsqueeze(-1))
        features = row_features(rows, units, level)
        portfolio = portfolio_features(units).expand(*features.shape[:-1], -1)
        return self.mix(torch.cat([pooled, features, portfolio], dim=-1))


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
        self.token_mlp = _mlp(width, 2 * width, width)
        self.row_mlp = _mlp(width, 2 * width, width)
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


class QuantileHead(nn.Module):
    """A location, a width, positive increments and a share of zeros: quantiles that cannot cross.

    All but the increments start from classical credibility: a row's own level, noise and zeros
    are believed as far as moments of the portfolio say. The network learns what to change.
    """

    N_NUMBERS = 7  # beside the increments

    def __init__(self, config):
        super().__init__()
        self.n_knots = config.n_knots
        self.norm = nn.LayerNorm(config.width)
        self.mlp = _mlp(config.width, 2 * config.width, self.N_NUMBERS + config.n_knots - 1)
        levels = torch.tensor(config.levels, dtype=torch.float64)
        self.register_buffer("levels", levels, persistent=False)
        last = self.mlp[-1]
        nn.init.normal_(last.weight, std=0.01)
        with torch.no_grad():
            last.bias.zero_()
            last.bias[5] = -1.0
            last.bias[self.N_NUMBERS :] = -1.0

    def forward(self, states, rows, units, zero_width):
        numbers = self.mlp(self.norm(states))  # (B, N, 7 + K - 1)
        own, rises = numbers.split([self.N_NUMBERS, self.n_knots - 1], dim=-1)
        trust_level, trust_noise, shift, stretch, base, zeros, trust_zeros = own.unbind(-1)
        share = self._zero_share(rows, units, zeros, trust_zeros)
        location = self._location(rows, units, trust_level, shift) / (1 - share)
        width = self._width(rows, units, trust_noise, stretch)

        rise = pad(softplus(rises).cumsum(-1), (1, 0))
        rise = rise - rise[..., self.n_knots // 2].unsqueeze(-1)
        standard = base.unsqueeze(-1) + width.unsqueeze(-1) * rise
        unit = location * row_noise(units, location)
        grain = units.whole / units.scale  # a whole number stands for what is up to one below it
        unit, centre = (unit**2 + grain**2 / 12).sqrt(), location - grain / 2
        quantiles = centre.unsqueeze(-1) + unit.unsqueeze(-1) * standard  # (B, N, K)
        return self._with_zeros(quantiles, share.unsqueeze(-1), zero_width.unsqueeze(-1))

    @staticmethod
    def _zero_share(rows, units, zeros, trust):
        """Share of zeros beside those that the quantiles have by themselves; ``(B, N)``."""
        logit = zeros + trust.clamp(-1, 1).exp() * zero_credibility(rows, units).logit()
        return logit.clamp(-9, 5).sigmoid() * (units.zero_share > 0)

    @staticmethod
    def _location(rows, units, trust, shift):
        """The row's level, between its own and the portfolio's; ``(B, N)``."""
        level = row_level(rows, units.scale)
        trust = (level_credibility(rows, units, level).logit() + trust).sigmoid()
        centre = torch.minimum(units.centre, units.log_mean)
        log_location = centre + trust * (level.log() - centre)
        return (log_location + (units.noise * shift).clamp(-8, 8)).exp()

    @staticmethod
    def _width(rows, units, trust, stretch):
        """The row's noise, as a multiple of the expected one; ``(B, N)``."""
        trust = (noise_credibility(rows, units).logit() + trust).sigmoid()
        own_noise = excess_log_noise(rows, units, row_level(rows, units.scale))
        own_noise = own_noise - units.noise_centre * (rows.count > 1)
        return (stretch + trust * own_noise).clamp(-4, 4).exp()

    def _with_zeros(self, quantiles, share, zero_width):
        """Quantiles at the same levels, of the mixture with a share of zeros below all else.

        Knots are equally spaced in logits, so that one finds its place among them at once.
        """
        levels = self.levels.to(quantiles.dtype)
        first, last = levels[0].logit(), levels[-1].logit()
        odds = (levels - share).clamp_min(1e-9) / (1 - levels)  # of the level among the others
        position = (odds.log().clamp(first, last) - first) / ((last - first) / (self.n_knots - 1))
        lower = position.detach().floor().clamp(0, self.n_knots - 2)
        low = quantiles.gather(-1, lower.long())
        high = quantiles.gather(-1, lower.long() + 1)
        others = torch.lerp(low, high, position - lower)
        below = quantiles[..., :1].clamp_max(0) - zero_width * (1 - levels / share.clamp_min(1e-6))
        return torch.where(levels > share, others, below)


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
        self.encoder = RowEncoder(config)
        self.tokens = nn.Parameter(torch.randn(config.n_tokens, config.width) * 0.5)
        self.portfolio = nn.Linear(N_PORTFOLIO_FEATURES, config.width)
        self.layers = nn.ModuleList(
            [Layer(config.width, config.n_heads) for _ in range(config.n_layers)]
        )
        self.head = QuantileHead(config)

    @classmethod
    def of_moments(cls, config):
        """A network that says what classical credibility says, and has learned nothing."""
        with torch.random.fork_rng(devices=[]):
            network = cls(config)
        nn.init.zeros_(network.head.mlp[-1].weight)  # whatever the other weights are
        return network.eval()

    def forward(self, observations, whole, in_context=None):
        """Predict every row, with the rows ``in_context`` (default: all) as context.

        Parameters
        ----------
        observations : Tensor of shape (B, N, n)
            NaN marks a missing observation.

        whole : Tensor of shape (B,)
            1 where a portfolio's outcomes are whole numbers, else 0.

        in_context : bool Tensor of shape (B, N), default=None

        Returns
        -------
        NetworkOutput
        """
        rows = as_rows(observations)
        if in_context is None:
            in_context = torch.ones_like(rows.count, dtype=torch.bool)
        units = portfolio_units([observations], [in_context.to(observations.dtype)], whole[:, None])
        states = self._encode(rows, units)
        tokens = self._first_tokens(units)
        for layer in self.layers:
            tokens = layer.update_tokens(tokens, layer.gather_partial(tokens, states, in_context))
            states = layer.update_rows(states, tokens)
        return self._output(states, rows, units)

    def encode_context(self, chunks, whole):
        """The context of one portfolio, from its rows in pieces of bounded size.

        Parameters
        ----------
        chunks : list of Tensor of shape (N_c, n)
            The observations of the context rows.

        whole : bool
            Whether outcomes are whole numbers.

        Returns
        -------
        Context
        """
        chunks = [chunk.unsqueeze(0) for chunk in chunks]
        like = chunks[0]
        units = portfolio_units(
            chunks,
            [like.new_ones(chunk.shape[:2]) for chunk in chunks],
            like.new_full((1, 1), float(whole)),
        )
        states = [self._encode(as_rows(chunk), units) for chunk in chunks]
        tokens, kept = self._first_tokens(units), []
        for layer in self.layers:
            partial = None
            for piece in states:
                new = layer.gather_partial(tokens, piece)
                partial = new if partial is None else Attention.merge(partial, new)
            tokens = layer.update_tokens(tokens, partial)
            kept.append(tokens)
            if layer is not self.layers[-1]:
                for k, piece in enumerate(states):
                    states[k] = layer.update_rows(piece, tokens)
        return Context(units, tuple(kept))

    def predict_rows(self, observations, context):
        """Predict rows of shape (N, n) given a `Context`; each row on its own."""
        rows = as_rows(observations.unsqueeze(0))
        states = self._encode(rows, context.units)
        for layer, tokens in zip(self.layers, context.tokens, strict=True):
            states = layer.update_rows(states, tokens)
        return self._output(states, rows, context.units)

    def _encode(self, rows, units):
        return self.encoder(rows, units, row_level(rows, units.scale))

    def _first_tokens(self, units):
        # (B, 1, 19) -> (B, T, d)
        return self.tokens + self.portfolio(portfolio_features(units))

    def _output(self, states, rows, units):
        level = row_level(rows, units.scale)
        grain = units.whole / units.scale
        typical = units.noise * (level + 0.1) + 0.3 * grain
        zero_width = torch.where(grain > 0, grain, ZERO_WIDTH * typical)
        return NetworkOutput(
            quantiles=self.head(states, rows, units, zero_width),
            scale=units.scale,
            grain=grain,
            typical=typical,
            zero_width=zero_width,
        )
