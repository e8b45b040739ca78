"""Reading a pretrained network: whole portfolios in, predictive distributions out.

Networks compute in float64 here: sums over rows then agree to far more digits than anyone
compares, whatever the order of rows and the size of chunks.
"""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from sklearn_pttf._laws import QuantileGrid
from sklearn_pttf._network import Context
from sklearn_pttf._validation import refuse_negative

USE_ANOTHER = " Fit with checkpoint='gaussian', or another of values."
CHUNK_CELLS = 50_000  # cells of X that are computed on at a time


@contextlib.contextmanager
def single_threaded():
    """One thread an operation: these are small, and several would mostly wait for each other.

    The number is that of the process, so operations that other threads begin meanwhile have
    one thread too; results do not depend on it.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def _chunks(portfolio, device):
    """Observations and standard errors as float64 tensors of bounded size."""

    def tensor(values):
        return torch.tensor(np.ascontiguousarray(values, dtype=np.float64), device=device)

    size = max(1, CHUNK_CELLS // max(10, portfolio.observations.shape[1]))
    for start in range(0, len(portfolio), size):
        rows = slice(start, start + size)
        errors = None if portfolio.errors is None else tensor(portfolio.errors[rows])
        yield tensor(portfolio.observations[rows]), errors


def _refuse_unreadable(network, portfolio):
    """Refuse outcomes that a network cannot read."""
    kind = network.config.outcomes
    if kind != "real":
        refuse_negative(portfolio.observations, f"a network of {kind} reads none", USE_ANOTHER)
    if kind == "counts" and not portfolio.integer:
        raise ValueError(
            "observations must be whole numbers, of which a network of counts reads totals; got "
            f"{portfolio!r}.{USE_ANOTHER}"
        )


@torch.inference_mode()
def encode_context(network, portfolio):
    """What later rows need to know about a portfolio; a `Context` of float64 tensors."""
    device = next(network.parameters()).device
    _refuse_unreadable(network, portfolio)
    with single_threaded():
        return network.encode_context(list(_chunks(portfolio, device)), portfolio.integer)


def predict_law(network, context, portfolio, of_mean=False):
    """The predictive distribution of every row, or the law of its mean; `QuantileGrid`."""
    device = next(network.parameters()).device
    real = network.config.outcomes == "real"

    @torch.inference_mode()
    def quantiles_of(chunk):
        output = network.predict_rows(chunk, context)
        output = output.of_mean if of_mean else output
        return output.outcome_quantiles()[0].cpu().numpy()

    _refuse_unreadable(network, portfolio)
    chunks = list(_chunks(portfolio, device))
    with single_threaded() as n_threads:
        if len(chunks) == 1:
            quantiles = [quantiles_of(chunks[0])]
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                quantiles = list(pool.map(quantiles_of, chunks))
    # cumulated sums of positive steps may still repeat or, by rounding, step back
    quantiles = np.maximum.accumulate(np.concatenate(quantiles), axis=1)
    integer = portfolio.integer and not of_mean
    if integer and real:
        quantiles = quantiles - 0.5  # a grid of whole numbers rounds up
    lowest = -np.inf if portfolio.real else 0.0
    return QuantileGrid(quantiles, network.config.levels, integer, lowest)


def context_arrays(context):
    """A `Context` as plain CPU arrays, for a pickle."""
    return [x.cpu().numpy() for x in context.units], [x.cpu().numpy() for x in context.tokens]


def context_from_arrays(arrays, network):
    """The inverse of `context_arrays`, on the device of its network."""
    device = next(network.parameters()).device
    units, tokens = ([torch.from_numpy(x).to(device) for x in group] for group in arrays)
    return Context(network.kind.units_type(*units), tuple(tokens))
