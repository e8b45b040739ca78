"""Results that are kept in a file as they come, so that an interrupted call can go on."""

import json
import zipfile
from dataclasses import is_dataclass
from inspect import Parameter, signature
from pathlib import Path

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from sklearn_pttf._priors.ranges import canonical_key
from sklearn_pttf._utils.files import is_temporary, written_whole

KIND, FORMAT = "transfer curve of sklearn_pttf", 1
KIND_OF_FOLDER = "backtest of sklearn_pttf"
KEY_FILE = "key.json"
LONGEST_SHOWN = 80  # characters of a value in a message


class Results:
    """Results by name, in memory and, where there is a path, in a JSON file.

    The file is written whole or not at all after every result.

    Parameters
    ----------
    path : str, Path or None
        None: nothing is written.

    key : dict of str to str
        What the results depend on, by the argument's name.

    Raises
    ------
    ValueError
        If the file is damaged, or holds results of a call with another key.
    """

    def __init__(self, path, key):
        self.path = None if path is None else Path(path)
        self.key = key
        self.by_name = {}
        if self.path is not None and self.path.exists():
            self.by_name = self._read()

    def __contains__(self, name):
        return name in self.by_name

    def __getitem__(self, name):
        return self.by_name[name]

    def add(self, name, result):
        """Keep a result; a dict that JSON can hold."""
        self.by_name[name] = result
        if self.path is not None:
            content = {"kind": KIND, "format": FORMAT, "key": self.key, "results": self.by_name}
            with written_whole(self.path) as temporary:
                temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def _read(self):
        content = self._checked(self.path, KIND)
        return content["results"]

    def _checked(self, path, kind):
        """The content of a JSON file of a kind, whose key is that of this call."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"resume={str(self.path)!r} is no JSON file: {error}") from None
        if not isinstance(content, dict) or content.get("kind") != kind:
            raise ValueError(f"resume={str(self.path)!r} is a file of another kind.")
        if content.get("format") != FORMAT:
            raise ValueError(
                f"resume={str(self.path)!r} has format {content.get('format')!r}; this version of "
                f"sklearn_pttf goes on from format {FORMAT}."
            )
        self._check_key(content["key"])
        return content

    def _check_key(self, key):
        names = sorted(key.keys() | self.key.keys())
        other = [name for name in names if key.get(name) != self.key.get(name)]
        if other:
            shown = [_difference(name, key.get(name), self.key.get(name)) for name in other]
            raise ValueError(
                f"resume={str(self.path)!r} holds results of a call with other arguments: "
                f"{'; '.join(shown)}. Give the arguments of that call, or another file."
            )


class ResultFolder(Results):
    """Results by name, dicts of arrays, in memory and, where there is a path, in a folder.

    Each is a file of its own, which is written whole or not at all.

    Parameters
    ----------
    path : str, Path or None
        None: nothing is written.

    key : dict of str to str
        What the results depend on, by the argument's name.

    Raises
    ------
    ValueError
        If the path is a file, or holds results of a call with another key, or something else.
    """

    def _read(self):
        if not self.path.is_dir():
            raise ValueError(f"resume={str(self.path)!r} must be a folder, or not there yet.")
        if (self.path / KEY_FILE).exists():
            self._checked(self.path / KEY_FILE, KIND_OF_FOLDER)
        elif not all(is_temporary(each) for each in self.path.iterdir()):
            raise ValueError(
                f"resume={str(self.path)!r} is a folder of other files: give an empty one, or a "
                "name of none."
            )
        return {}

    def __contains__(self, name):
        if name in self.by_name:
            return True
        if self.path is None or not self._file(name).exists():
            return False
        try:
            with np.load(self._file(name)) as found:
                self.by_name[name] = dict(found)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"resume={str(self.path)!r} holds a damaged file, {self._file(name).name}: {error}"
            ) from None
        return True

    def __getitem__(self, name):
        if name not in self:
            raise KeyError(name)
        return self.by_name[name]

    def add(self, name, result):
        """Keep a result; a dict of arrays and numbers."""
        self.by_name[name] = result
        if self.path is None:
            return
        if not (self.path / KEY_FILE).exists():
            content = {"kind": KIND_OF_FOLDER, "format": FORMAT, "key": self.key}
            with written_whole(self.path / KEY_FILE) as temporary:
                temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        with written_whole(self._file(name)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **result)

    def _file(self, name):
        return self.path / f"{joblib.hash(name)}.npz"


def _difference(name, there, here):
    if max(len(str(there)), len(str(here))) > LONGEST_SHOWN:
        return f"{name} differs"
    return f"{name} was {there}, and is {here}"


def fingerprint(*arrays):
    """A hash of arrays, or of dicts of them, whatever their layout in memory; str."""
    parts = [each.items() if isinstance(each, dict) else [("", each)] for each in arrays]
    return joblib.hash([[(k, np.ascontiguousarray(v)) for k, v in part] for part in parts])


def described(value):
    """One line that is equal for equal parameters, as far as they can be compared; str.

    Parameters of estimators at their defaults are left out.
    """
    if isinstance(value, BaseEstimator):
        defaults = signature(type(value)).parameters
        params = {name: described(each) for name, each in value.get_params(deep=False).items()}
        inside = ", ".join(
            f"{name}={params[name]}"
            for name in sorted(params)
            if params[name] != described(defaults[name].default)
        )
        return f"{type(value).__name__}({inside})"
    if value is Parameter.empty:
        return "no default"
    if is_dataclass(value):
        return repr(value)
    try:
        return canonical_key(value)
    except ValueError:
        return joblib.hash(value)
