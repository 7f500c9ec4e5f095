# Which instruction set the kernels use.


def available_isas():
    """Names of the instruction sets this processor can run, best first."""
    cdef const flr_isa *found[8]
    cdef int count = flr_available(found, 8)
    return [found[i].name.decode() for i in range(count)]


def isa_name():
    """Name of the instruction set in use."""
    return flr_active.name.decode()


def select_isa(name):
    """Use the named instruction set from now on (None: the best)."""
    cdef bytes encoded
    if name is None:
        flr_select(NULL)
        return
    encoded = str(name).encode()
    if flr_select(encoded) == NULL:
        raise ValueError(f"FASTLR_ISA={name!r} is unknown or not supported by this processor; "
                         f"use one of {', '.join(available_isas())}, or unset it for the best")
