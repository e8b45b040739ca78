"""Expectation maximisation of mixtures, written once for NumPy arrays and torch tensors.

No more than operations that both have. Shapes are written ``(..., N, G)``: ``N`` rows, ``G``
components. Rows may come in pieces, lists of arrays: everything is a sum over rows.
"""

LEAST_LIKELIHOOD = 1e-30  # of a row, where its likeliest component has 1


def expected_sums(likelihoods, weights, values, rest=0.0):
    """Sums of rows' values over every component, each row shared out by what it may be of.

    Parameters
    ----------
    likelihoods : list of array of shape (..., N, G)
        Of rows under every component, up to a factor a row, the largest about 1.

    weights : array of shape (..., G)

    values : list of array of shape (..., V, N)

    rest : array of shape (..., 1, N), default=0.0
        Likelihood of rows as none of the components, times the weight of that; of one piece.

    Returns
    -------
    array of shape (..., V, G)
    """
    weights, total = weights[..., None, :], 0.0
    for likelihood, value in zip(likelihoods, values, strict=True):
        fit = (weights @ likelihood.swapaxes(-1, -2) + rest).clip(LEAST_LIKELIHOOD)
        total = total + (value / fit) @ likelihood
    return weights * total


def mixing_weights(likelihoods, counts, first, n_steps, prior_rows=0.0, rest=0.0):
    """Kiefer and Wolfowitz' maximum-likelihood mixing distribution, by steps of EM.

    Parameters
    ----------
    likelihoods, rest
        As of `expected_sums`.

    counts : list of array of shape (..., N)
        How often rows occur, 0 of those that do not count.

    first : array of shape (..., G)
        Weights to begin with.

    n_steps : int

    prior_rows : float, default=0.0
        Weight of ``first``, in rows, that is added in every step.

    Returns
    -------
    array of shape (..., G)
        Not negative, sum 1 after a step; 0 if no row counts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_pttf._utils.mixtures import mixing_weights
    >>> mixing_weights([np.eye(2)], [np.array([3, 1])], np.full(2, 0.5), n_steps=1)
    array([0.75, 0.25])
    """
    weights, before = first, prior_rows * first
    counts = [each[..., None, :] for each in counts]
    for _ in range(n_steps):
        rows = expected_sums(likelihoods, weights, counts, rest)[..., 0, :] + before
        weights = rows / rows.sum(-1, keepdims=True).clip(LEAST_LIKELIHOOD)
    return weights
