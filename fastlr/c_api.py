"""The C interface for other languages: where its headers are, and its functions' addresses. docs/c.md has examples."""

from pathlib import Path

from fastlr import _core

__all__ = ["function_address", "get_include"]


def get_include():
    """The folder of fastlr_api.h and the headers that it includes, and of fastlr_api.pxd for Cython.

    Returns
    -------
    str
    """
    package = Path(__file__).parent
    installed = package / "include"
    return str(installed if installed.exists() else package.parent / "csrc")


def function_address(name):
    """The address of a function of the table in fastlr_api.h, for ctypes, cffi and Numba.

    Parameters
    ----------
    name : str
        As in the table: "map_rows" for `flr_map_rows`.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        Listing the names, if there is no such function.
    """
    if name not in _core.C_FUNCTIONS:
        raise ValueError(f"name is {name!r}; expected one of {', '.join(_core.C_FUNCTIONS)}")
    return _core.C_FUNCTIONS[name]
