# Signals during an epoch.

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


cdef class _Interrupt:
    """What a signal handler raised, kept until the epoch has stopped."""

    cdef object error


cdef int _poll(void *interrupt) noexcept with gil:
    """Run signal handlers; 1 if one raised."""
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        (<_Interrupt>interrupt).error = error
        return 1
    return 0
