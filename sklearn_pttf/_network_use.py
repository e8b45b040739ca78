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
from sklearn_pttf._units import PortfolioUnits

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


def _chunks(observations, device):
    """The observations as float64 tensors of bounded size."""
    size = max(1, CHUNK_CELLS // max(10, observations.shape[1]))
    for start in range(0, len(observations), size):
        piece = np.ascontiguousarray(observations[start : start + size], dtype=np.float64)
        yield torch.tensor(piece, device=device)


@torch.inference_mode()
def encode_context(network, observations, integer):
    """What later rows need to know about a portfolio; a `Context` of float64 tensors."""
    device = next(network.parameters()).device
    with single_threaded():
        return network.encode_context(list(_chunks(observations, device)), integer)


def predict_law(network, context, observations):
    """The predictive distribution of every row; `QuantileGrid`."""
    device = next(network.parameters()).device
    whole = bool(context.units.whole.item())

    @torch.inference_mode()
    def quantiles_of(chunk):
        output = network.predict_rows(chunk, context)
        return (output.quantiles * output.scale.unsqueeze(-1))[0].cpu().numpy()

    chunks = list(_chunks(observations, device))
    with single_threaded() as n_threads:
        if len(chunks) == 1:
            quantiles = [quantiles_of(chunks[0])]
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                quantiles = list(pool.map(quantiles_of, chunks))
    # cumulated sums of positive steps may still repeat or, by rounding, step back
    quantiles = np.maximum.accumulate(np.concatenate(quantiles), axis=1)
    return QuantileGrid(quantiles, network.config.levels, whole)


def context_arrays(context):
    """A `Context` as plain CPU arrays, for a pickle."""
    return [x.cpu().numpy() for x in context.units], [x.cpu().numpy() for x in context.tokens]


def context_from_arrays(arrays, device):
    """The inverse of `context_arrays`."""
    units, tokens = ([torch.from_numpy(x).to(device) for x in group] for group in arrays)
    return Context(PortfolioUnits(*units), tuple(tokens))
