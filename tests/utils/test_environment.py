"""Where the package cannot work it says why when it is imported."""

import pytest

from sklearn_pttf._utils.environment import refuse_environment


def test_it_works_here_and_without_asserts():
    refuse_environment()
    refuse_environment(optimize=1)


def test_python_without_docstrings_is_refused():
    with pytest.raises(ImportError, match=r"by python -OO: skorch, .* Use python -O\."):
        refuse_environment(optimize=2)


def test_zip_archives_are_refused(tmp_path):
    inside = tmp_path / "packages.zip" / "sklearn_pttf" / "_utils" / "environment.py"
    with pytest.raises(ImportError, match=r"from a zip archive: its weights, .* Unpack .*packages"):
        refuse_environment(path=str(inside))
