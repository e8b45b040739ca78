"""How Python was started, and where the package lies: refused where it cannot work."""

import os
import sys

NO_DOCSTRINGS = 2  # level of optimisation


def refuse_environment(optimize=sys.flags.optimize, path=__file__):
    """Say why the package cannot be imported, where it cannot.

    Parameters
    ----------
    optimize : int
        Level of optimisation of Python.

    path : str
        Where a module of the package lies.

    Raises
    ------
    ImportError
    """
    if optimize >= NO_DOCSTRINGS:
        raise ImportError(
            "sklearn_pttf cannot be imported by python -OO: skorch, which manages its training, "
            "is made of docstrings, which that removes. Use python -O."
        )
    if not os.path.isfile(path):
        raise ImportError(
            "sklearn_pttf cannot be imported from a zip archive: its weights, recipes and data are "
            f"read as files. Unpack {path}, or install the package."
        )
