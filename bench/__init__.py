"""The benchmark suite behind ``fastlr bench``: fastlr and its peers in one run, against limits measured on the spot."""


def main(argv=None):
    """Run the suites named in `argv` and print their tables; see ``fastlr bench --help``.

    Parameters
    ----------
    argv : list of str, optional
        The arguments after ``fastlr bench``; none by default.

    Returns
    -------
    int
        The exit status, 0.
    """
    from . import run  # heavy imports only when asked for

    return run.main(argv)
