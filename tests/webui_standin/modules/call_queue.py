import collections
import threading


class FifoLock:
    """As the webuis' own: nobody is let in before those who waited longer, and waiting knows no time limit."""

    def __init__(self) -> None:
        self._held, self._guard = threading.Lock(), threading.Lock()
        self._waiting: collections.deque[threading.Event] = collections.deque()

    def acquire(self, blocking: bool = True) -> bool:
        with self._guard:
            if self._held.acquire(False):
                return True
            if not blocking:
                return False
            self._waiting.append(turn := threading.Event())
        turn.wait()
        return self._held.acquire()

    def release(self) -> None:
        with self._guard:
            if self._waiting:
                self._waiting.popleft().set()
            self._held.release()

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()


queue_lock = FifoLock()
