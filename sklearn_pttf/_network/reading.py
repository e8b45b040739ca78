"""Reading a pretrained network: whole portfolios in, predictive distributions out.

Networks compute in float64 here: sums over rows then agree to far more digits than anyone
compares, whatever the order of rows and the size of chunks.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from sklearn_pttf._laws.grid import QuantileGrid
from sklearn_pttf._laws.scaled import ScaledLaw
from sklearn_pttf._network.network import Context
from sklearn_pttf._tables.bands import Bands
from sklearn_pttf._utils.progress import bar
from sklearn_pttf._utils.torch_state import plain_torch, single_threaded

CHUNK_CELLS = 50_000  # cells of X that are computed on at a time
CELLS_ASKED = 4  # that a price which is asked about counts for


def _chunks(evidence, device):
    """The same evidence in pieces of bounded size, as float64 tensors."""

    def tensor(values):
        return torch.tensor(np.ascontiguousarray(values, dtype=np.float64), device=device)

    n_cells = evidence.observations.shape[1]
    if np.ndim(evidence.posted) > 1:
        n_cells += CELLS_ASKED * evidence.posted.shape[1]
    size = max(1, CHUNK_CELLS // max(10, n_cells))
    for start in range(0, len(evidence), size):
        yield evidence.take(slice(start, start + size)).map(tensor)


class BandedContext(NamedTuple):
    """Contexts of a table whose levels span many decades."""

    bands: Bands
    parts: list  # the `Context` of each band, and last that of all rows


@plain_torch()
def encode_context(network, portfolio):
    """What later rows need to know about a portfolio, of float64 tensors.

    Returns
    -------
    Context or BandedContext
    """
    kind = network.kind
    kind.check(portfolio)
    portfolio = _typical(kind, kind.as_read(portfolio))
    alike = portfolio.without_offset()
    whole, bands = _encode(network, portfolio), kind.bands(alike)
    if bands is None:
        return whole
    parts = [portfolio.take(rows) for rows in bands.rows(alike.observations)]
    return BandedContext(
        bands, [*(_encode(network, _typical(kind, part)) for part in parts), whole]
    )


def _typical(kind, portfolio):
    """The portfolio without rows that would outweigh all others."""
    rows = kind.typical_rows(portfolio.without_offset())
    return portfolio if rows.all() else portfolio.take(rows)


@torch.inference_mode()
def _encode(network, portfolio):
    """The `Context` of all rows."""
    device = next(network.parameters()).device
    with single_threaded():
        chunks = list(_chunks(network.kind.evidence(portfolio), device))
        total = len(chunks) * len(network.layers)
        with bar(what="reading", unit="part", total=total) as progress:
            return network.encode_context(chunks, portfolio.integer, progress.update)


@plain_torch()
def predict_law(network, context, portfolio, of_mean=False):
    """The predictive distribution of every row, or the law of its mean, per unit of exposure.

    Returns
    -------
    PredictiveDistribution
    """
    if portfolio.offset is not None and not network.kind.reads_offset():
        law = predict_law(network, context, portfolio.over_offset(), of_mean)
        return ScaledLaw(law, np.exp(portfolio.offset)) if of_mean else law
    if network.kind.priced:
        return predict_laws_at(network, context, portfolio, portfolio.posted_prices()[:, None])
    if isinstance(context, BandedContext):
        return _law_by_bands(network, context, portfolio, of_mean)
    kind = network.kind

    def output_of(chunk):
        return kind.answers(network.predict_rows(chunk, context), of_mean)

    quantiles, _ = _in_chunks(output_of, network, _evidence(network, portfolio))
    return kind.law(quantiles, network.config.levels, portfolio, of_mean)


def _law_by_bands(network, context, portfolio, of_mean):
    """`predict_law` of every row in the context of its band."""
    alike = network.kind.as_read(portfolio).without_offset()
    own = context.bands.nearest(alike.observations)
    own = np.where(own < 0, len(context.parts) - 1, own)
    groups = [np.flatnonzero(own == k) for k in range(len(context.parts))]
    laws = [
        predict_law(network, part, portfolio.take(rows), of_mean)
        for part, rows in zip(context.parts, groups, strict=True)
        if len(rows)
    ]
    return type(laws[0]).concatenate(laws).take(np.argsort(np.concatenate(groups)))


@plain_torch()
def predict_laws_at(network, context, portfolio, prices):
    """Laws of demand at prices ``(n, k)``, those of one row after each other; `QuantileGrid`.

    A price that is missing is the portfolio's usual one.
    """
    usual = float(context.units.price_centre.exp())
    prices = np.where(np.isnan(prices), usual, prices)

    def output_of(chunk):
        return network.predict_rows(chunk, context)

    evidence = replace(_evidence(network, portfolio), posted=prices)
    quantiles, means = _in_chunks(output_of, network, evidence)
    return QuantileGrid(quantiles, network.config.levels, portfolio.integer, means=means)


def _evidence(network, portfolio):
    """What a network sees of a portfolio, once that is no wrong one; `Evidence`."""
    network.kind.check(portfolio)
    return network.kind.evidence(network.kind.as_read(portfolio))


def _in_chunks(output_of, network, evidence):
    """Quantiles and means of all laws, of which ``output_of`` gives a chunk; (n, K) and (n,)."""
    device = next(network.parameters()).device

    @torch.inference_mode()
    def in_numpy(chunk):
        output = output_of(chunk)
        mean = (
            torch.zeros(()) if output.mean is None else output.location + output.scale * output.mean
        )
        return output.outcome_quantiles()[0].cpu().numpy(), mean.flatten().cpu().numpy()

    chunks = list(_chunks(evidence, device))
    with single_threaded() as n_threads:
        if len(chunks) == 1:
            done = [in_numpy(chunks[0])]
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                done = pool.map(in_numpy, chunks)
                done = list(bar(done, what="laws", unit="part", total=len(chunks)))
    quantiles, means = (np.concatenate(parts) for parts in zip(*done, strict=True))
    # cumulated sums of positive steps may still repeat or, by rounding, step back
    return np.maximum.accumulate(quantiles, axis=1), means


def context_arrays(context):
    """A context as plain CPU arrays, for a pickle."""
    if isinstance(context, BandedContext):
        return context._replace(parts=[context_arrays(part) for part in context.parts])
    return [x.cpu().numpy() for x in context.units], [x.cpu().numpy() for x in context.tokens]


def context_from_arrays(arrays, network):
    """The inverse of `context_arrays`, on the device of its network."""
    if isinstance(arrays, BandedContext):
        return arrays._replace(parts=[context_from_arrays(part, network) for part in arrays.parts])
    device = next(network.parameters()).device
    units, tokens = ([torch.from_numpy(x).to(device) for x in group] for group in arrays)
    return Context(network.kind.units_type(*units), tuple(tokens))
