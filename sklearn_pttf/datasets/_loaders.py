"""Three classical tables of many small samples."""

import csv
from importlib.resources import files

import numpy as np
from sklearn.utils import Bunch

HORSE_KICKS = """\
Deaths by horse kick in the Prussian army, 1875 to 1894

14 army corps (the guards, G, and 13 numbered ones) over 20 years. A cell is the number of
soldiers of the corps who were killed by the kick of a horse in that year: 280 cells, 196 deaths,
at most 4 in one cell.

An instance is a corps and an observation is a year. The years of a corps are exchangeable counts:
there is no trend and no season to speak of, and a Poisson law fits them well. The corps are alike
but not the same; Bortkiewicz set G, I, VI and XI apart because they are organised differently.

L. von Bortkiewicz, "Das Gesetz der kleinen Zahlen", Teubner, Leipzig (1898).
"""

BASEBALL = """\
Batting of 18 baseball players in the season of 1970

Every player had 45 at-bats when the table was made. `data` holds what was known at that time:
the at-bats and the hits. `target` is the batting average (hits per at-bat) of the rest of
the player's season, and `remaining_at_bats` the at-bats that it is the average of.

An instance is a player. It is the textbook case for shrinkage: for most players the average of all
18 foretells the rest of the season better than the player's own first 45 at-bats.

The paper prints averages only, and family names. The at-bats of the rest of the season, and
the averages to four places, were added later from the season's totals. Two of these averages
are not the paper's: Don Kessinger, .2645 here and .263 in the paper, and Williams, who is taken to
be Billy Williams here, with .3299, where the paper has .256.

B. Efron, C. Morris, "Data analysis using Stein's estimator and its generalizations", Journal of
the American Statistical Association 70 (1975), 311-319.
"""

RAT_TUMORS = """\
Tumors in 71 experiments with rats

In each experiment a number of female rats of type F344 had no treatment; a cell is how many of them
developed an endometrial stromal polyp, and how many there were: 267 of 1,739 in all. The first 70
experiments are historical; the last, 4 tumors in 14 rats, is the one that they are to inform.

An instance is an experiment. It is the textbook case of a hierarchical model of rates: the 71
shares differ by more than chance, and few rats say little, so each is best pulled towards the
others.

R. E. Tarone, "The use of historical control information in testing for a trend in proportions",
Biometrics 38 (1982), 215-220; table 5.1 in A. Gelman, J. B. Carlin, H. S. Stern, D. B. Dunson,
A. Vehtari, D. B. Rubin, "Bayesian Data Analysis", 3rd edition, CRC Press (2013).
"""


def load_horse_kicks(*, as_frame=False):
    """Deaths by horse kick in 14 Prussian army corps, 1875 to 1894.

    Rows are corps, columns are years, and cells are numbers of deaths: exchangeable
    counts, 196 in all.

    Parameters
    ----------
    as_frame : bool, default=False
        Whether ``data`` is a pandas data frame, indexed by corps.

    Returns
    -------
    Bunch
        With the keys

        - ``data``: ndarray or data frame of shape (14, 20), float64, deaths a year;
        - ``feature_names``: list of 20 str, the years ``"1875"`` to ``"1894"``;
        - ``instance_names``: list of 14 str, the corps;
        - ``DESCR``: str, what the data are;
        - ``frame``: the data frame if ``as_frame``, otherwise None.

    Raises
    ------
    ImportError
        If ``as_frame`` and pandas is not installed.

    References
    ----------
    .. [1] L. von Bortkiewicz, "Das Gesetz der kleinen Zahlen", Teubner, Leipzig (1898).

    Examples
    --------
    >>> from sklearn_pttf.datasets import load_horse_kicks
    >>> kicks = load_horse_kicks()
    >>> kicks.data.shape, kicks.data.sum()
    ((14, 20), np.float64(196.0))
    >>> kicks.instance_names[:3]
    ['G', 'I', 'II']
    """
    corps, years, deaths = _read_table("horse_kicks.csv")
    frame = _to_frame(deaths, corps, years, "corps") if as_frame else None
    return Bunch(
        data=frame if as_frame else deaths,
        feature_names=years,
        instance_names=corps,
        DESCR=HORSE_KICKS,
        frame=frame,
    )


def load_baseball(*, as_frame=False):
    """Batting of 18 baseball players: 45 at-bats, and the rest of the season of 1970.

    Parameters
    ----------
    as_frame : bool, default=False
        Whether ``data`` is a pandas data frame indexed by player, and ``target`` and
        ``remaining_at_bats`` are series.

    Returns
    -------
    Bunch
        With the keys

        - ``data``: ndarray or data frame of shape (18, 2), float64, the at-bats and the
          hits so far;
        - ``target``: ndarray or series of shape (18,), hits per at-bat over the remaining
          season;
        - ``remaining_at_bats``: ndarray or series of shape (18,), at-bats that the target
          is the average of;
        - ``feature_names``: ``["at_bats", "hits"]``;
        - ``instance_names``: list of 18 str, the players;
        - ``DESCR``: str, what the data are;
        - ``frame``: data frame of all four columns if ``as_frame``, otherwise None.

    Raises
    ------
    ImportError
        If ``as_frame`` and pandas is not installed.

    References
    ----------
    .. [1] B. Efron, C. Morris, "Data analysis using Stein's estimator and its
       generalizations", J. Amer. Statist. Assoc. 70 (1975), 311-319.

    Examples
    --------
    Deciding on every player's own record is worse than one decision for all.

    >>> import numpy as np
    >>> from sklearn_pttf.datasets import load_baseball
    >>> season = load_baseball()
    >>> at_bats, hits = season.data.T
    >>> own = hits / at_bats
    >>> print(f"{np.sum((own - season.target) ** 2):.3f}")
    0.086
    >>> print(f"{np.sum((own.mean() - season.target) ** 2):.3f}")
    0.028
    """
    players, columns, figures = _read_table("baseball.csv")
    frame = _to_frame(figures, players, columns, "player") if as_frame else None
    return Bunch(
        data=frame[columns[:2]] if as_frame else figures[:, :2],
        target=frame[columns[3]] if as_frame else figures[:, 3],
        remaining_at_bats=frame[columns[2]] if as_frame else figures[:, 2],
        feature_names=columns[:2],
        instance_names=players,
        DESCR=BASEBALL,
        frame=frame,
    )


def load_rat_tumors(*, as_frame=False):
    """Tumors in 71 experiments with rats, of 10 to 52 rats each.

    Parameters
    ----------
    as_frame : bool, default=False
        Whether ``data`` is a pandas data frame, indexed by the number of the experiment.

    Returns
    -------
    Bunch
        With the keys

        - ``data``: ndarray or data frame of shape (71, 2), float64, rats with a tumor and rats
          in all;
        - ``feature_names``: ``["tumors", "rats"]``;
        - ``instance_names``: list of 71 str, ``"1"`` to ``"71"``;
        - ``DESCR``: str, what the data are;
        - ``frame``: the data frame if ``as_frame``, otherwise None.

    Raises
    ------
    ImportError
        If ``as_frame`` and pandas is not installed.

    References
    ----------
    .. [1] R. E. Tarone, "The use of historical control information in testing for a trend in
       proportions", Biometrics 38 (1982), 215-220.

    .. [2] A. Gelman, J. B. Carlin, H. S. Stern, D. B. Dunson, A. Vehtari, D. B. Rubin, "Bayesian
       Data Analysis", 3rd edition, CRC Press (2013), chapter 5.

    Examples
    --------
    The last experiment had tumors in 29 % of its rats; given the others it is about 21 %.

    >>> from sklearn_pttf import Column, PretrainedDecisionTransformer
    >>> from sklearn_pttf.datasets import load_rat_tumors
    >>> from sklearn_pttf.problems import Estimation
    >>> X = load_rat_tumors().data
    >>> problem = Estimation(noise="binomial", trials=Column(1))
    >>> PretrainedDecisionTransformer(problem).fit(X).decide(X)[[0, -1]].round(2)
    array([0.06, 0.21])
    """
    experiments, columns, figures = _read_table("rat_tumors.csv")
    frame = _to_frame(figures, experiments, columns, "experiment") if as_frame else None
    return Bunch(
        data=frame if as_frame else figures,
        feature_names=columns,
        instance_names=experiments,
        DESCR=RAT_TUMORS,
        frame=frame,
    )


def _read_table(file_name):
    """Row names, column names and figures of a table that travels with the package."""
    path = files("sklearn_pttf.datasets").joinpath("data", file_name)
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    figures = np.array([row[1:] for row in rows], dtype=np.float64)
    return [row[0] for row in rows], header[1:], figures


def _to_frame(figures, rows, columns, index_name):
    import pandas as pd

    return pd.DataFrame(figures, index=pd.Index(rows, name=index_name), columns=columns)
