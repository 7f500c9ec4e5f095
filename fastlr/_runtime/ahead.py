"""One thread that makes the next item of an iterator while one is in use."""

import threading
from queue import SimpleQueue


def read_ahead(iterator):
    """The items of an iterator, two of which exist at a time; without a thread where none can be started.

    The iterator must not use the memory of an item for the next, and is closed at the end, whatever that is.
    """
    wanted, items = threading.Semaphore(1), SimpleQueue()
    has_ended = False

    def work():
        try:
            while wanted.acquire() and not has_ended:
                items.put((next(iterator), None))
        except BaseException as error:  # StopIteration too: the reader's to raise or to end with
            items.put((None, error))

    thread = threading.Thread(target=work, name="fastlr-read-ahead", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        yield from iterator
        return
    try:
        while True:
            item, error = items.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            wanted.release()
            yield item
            del item
    finally:
        has_ended = True
        wanted.release()
        thread.join()
        iterator.close()
