"""Fixtures shared by the tests."""

import signal

import pytest

from fastlr import _core

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a job in the background: tests of Ctrl-C hang
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(params=_core.available_isas())
def isa(request):
    """Run the test once for each instruction set of this processor."""
    before = _core.isa_name()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)
