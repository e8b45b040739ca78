"""The settings of pretraining: defaults, allowed ranges, and their entry on the card."""

from dataclasses import asdict, dataclass, field, fields
from functools import wraps
from inspect import Parameter, signature

from sklearn_pttf._utils.checks import check_real, check_whole


def _whole(default, low, high):
    """A setting that is a whole number in [low, high]."""
    return field(default=default, metadata={"check": check_whole, "range": (low, high)})


def _real(default, low, high):
    """A setting that is a number in [low, high]."""
    return field(default=default, metadata={"check": check_real, "range": (low, high)})


@dataclass(frozen=True)
class TrainingSettings:
    """How `pretrain` trains; what each setting means is said there.

    They are also the parameters of `pretrain` that its signature shows after its own, and what the
    table ``[training]`` of a recipe may hold.

    Raises
    ------
    ValueError
        If a setting is out of range.

    Examples
    --------
    >>> from sklearn_pttf._training.settings import TrainingSettings
    >>> TrainingSettings(n_steps=10).entry(start=None, priced=False)["n_steps"]
    10
    """

    n_steps: int = _whole(2000, 1, 10**9)
    rows: int = _whole(1000, 1, 10**7)
    n_outcomes: int = _whole(8, 1, 10**4)
    lr: float = _real(1e-3, 1e-9, 1.0)
    weight_decay: float = _real(0.01, 0.0, 1.0)
    warmup: float = _real(0.02, 0.0, 1.0)
    cooldown: float = _real(0.5, 0.0, 1.0)
    clip: float = _real(1.0, 1e-9, 1e9)
    decision_weight: float = _real(4.0, 0.0, 1e6)
    round_steps: int = _whole(500, 1, 10**9)
    random_state: int = _whole(0, 0, 2**31 - 1)

    def __post_init__(self):
        for setting in fields(self):
            check, limits = setting.metadata["check"], setting.metadata["range"]
            check(setting.name, getattr(self, setting.name), *limits)

    @classmethod
    def names(cls):
        """Names of the settings; set of str."""
        return {setting.name for setting in fields(cls)}

    def entry(self, start, priced):
        """What the card says of training; dict.

        Parameters
        ----------
        start : Checkpoint or None
            Weights that training goes on from.

        priced : bool
            Whether the network is of prices: only they have a ``decision_weight``.
        """
        entry = asdict(self) | {"start": start.fingerprint() if start else None}
        if not priced:
            del entry["decision_weight"]
        return entry


def shows_settings(function):
    """Show every setting in the signature of a function, in place of its ``**settings``.

    Other names are refused as Python refuses them.
    """
    own = signature(function)
    *parameters, _ = own.parameters.values()
    settings = [
        Parameter(setting.name, Parameter.KEYWORD_ONLY, default=setting.default)
        for setting in fields(TrainingSettings)
    ]
    shown = own.replace(parameters=[*parameters, *settings])

    @wraps(function)
    def checked(*args, **kwargs):
        try:
            shown.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__name__}() {error}") from None
        return function(*args, **kwargs)

    checked.__signature__ = shown
    return checked
