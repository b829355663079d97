"""One service for all processes of a test session: the first that needs it starts it, and stops it after the last.

pytest-xdist runs files of tests in processes that know nothing of each other. What they agree on is in a folder: for
each service its address, and files to lock. Locks end with their process, so that none outlives a crash.
"""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path


class SharedServices:
    """The shared services of this process's session.

    Args:
        folder: The same one for all processes of a session, and for no others.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._services = ExitStack()

    def address(self, name: str, start: Callable[[], AbstractContextManager[str]]) -> str:
        """Return the address of a running service, for as long as this process needs it.

        Args:
            name: Name of the service.
            start: Starts it and gives its address; called when no process has started it.
        """
        address = self._folder / f"{name}.address"
        with _locked(self._folder / f"{name}.start"), ExitStack() as stack:
            users = stack.enter_context((self._folder / f"{name}.users").open("w"))
            fcntl.flock(users, fcntl.LOCK_SH)
            if not address.exists():
                started = stack.enter_context(start())

                def wait_for_the_others() -> None:
                    fcntl.flock(users, fcntl.LOCK_EX)
                    address.unlink()

                stack.callback(wait_for_the_others)
                address.write_text(started)
            self._services.push(stack.pop_all())
        return address.read_text()

    @contextmanager
    def one_at_a_time(self, name: str) -> Iterator[None]:
        """Wait until no process is in a block of this name, and keep the others out.

        The wait, which may be for a whole file of tests, does not count for an alarm, as the time-out of a test is one.
        """
        left, every = signal.setitimer(signal.ITIMER_REAL, 0)
        with _locked(self._folder / f"{name}.alone"):
            signal.setitimer(signal.ITIMER_REAL, left, every)
            yield

    def close(self) -> None:
        """Stop what this process has started, when the others no longer need it."""
        self._services.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
