"""Budgets that tell who waits, and threads that take shares of them."""

import threading

from fastnet._engine.threads import Budget

# Reached only by what would never end.
DEADLINE = 60


class WatchedBudget(Budget):
    """Tells how often a call found that it must wait."""

    def __init__(self, total):
        super().__init__(total)
        self.refused = threading.Semaphore(0)

    def _serve(self, call):
        is_served = super()._serve(call)
        if not is_served:
            self.refused.release()
        return is_served


class Caller:
    """A thread that takes a share, and keeps it until it is told to end."""

    def __init__(self, budget, wanted=1, raises=None):
        self.budget, self.wanted = budget, wanted
        self.raises = raises
        self.raised = self.share = None
        self.began, self.may_end = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            self.budget.run(self._keep, self.wanted)
        except BaseException as error:
            self.raised = error

    def _keep(self, share):
        self.share = share
        self.began.set()
        # Longer than anyone waits for what depends on it.
        assert self.may_end.wait(2 * DEADLINE)
        if self.raises is not None:
            raise self.raises

    def begins(self):
        assert self.began.wait(DEADLINE)
        return self.share

    def waits(self):
        assert self.budget.refused.acquire(timeout=DEADLINE)
        assert self.share is None
        return self

    def ends(self):
        self.may_end.set()
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive()
