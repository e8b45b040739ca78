"""The private names of scikit-learn that this package uses, imported here only.

They may move in any release, so `pyproject.toml` bounds scikit-learn from above.
"""

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions, validate_params
from sklearn.utils.validation import _check_feature_names_in, _get_feature_names, _num_features

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "_check_feature_names_in",
    "_fit_context",
    "_get_feature_names",
    "_num_features",
    "_safe_indexing",
    "check_matplotlib_support",
    "validate_params",
]
