# Calls of BLAS on one thread.


ctypedef int (*get_threads)() noexcept nogil
ctypedef void (*set_threads)(int) noexcept nogil


cdef class BlasLimit:
    """BLAS on one thread while anyone is inside: the first in sets the limit of the process, the last out lifts it.

    Entering and leaving run no Python code: neither a signal's handler nor another Python thread comes between the
    count and the limit, so that no interrupt leaves one without the other and nothing waits for a lock.

    functions: pairs of addresses of int get(void) and void set(int), for each BLAS there is.
    """

    cdef get_threads get[8]
    cdef set_threads set[8]
    cdef int before[8]
    cdef int n_libraries, n_inside

    def __init__(self, functions):
        for get, set_ in functions[:8]:
            self.get[self.n_libraries] = <get_threads><size_t>get
            self.set[self.n_libraries] = <set_threads><size_t>set_
            self.n_libraries += 1

    def __enter__(self):
        if self.n_inside == 0:
            for i in range(self.n_libraries):
                self.before[i] = self.get[i]()
                self.set[i](1)
        self.n_inside += 1

    def __exit__(self, *_):
        self.n_inside -= 1
        if self.n_inside == 0:
            self.lift()

    def start_again_after_fork(self):
        """The threads that were inside are not in the child."""
        if self.n_inside:
            self.n_inside = 0
            self.lift()

    cdef void lift(self) noexcept:
        for i in range(self.n_libraries):
            self.set[i](self.before[i])
