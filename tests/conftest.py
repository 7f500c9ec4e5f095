"""Fixtures shared by the tests."""

import pytest

from fastlr import _core


@pytest.fixture(params=_core.available_isas())
def isa(request):
    """Run the test once for each instruction set of this processor."""
    before = _core.isa_name()
    _core.select_isa(request.param)
    yield request.param
    _core.select_isa(before)
