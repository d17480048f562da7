"""Processes that play the cells of a campaign, and put what came of each into one queue."""

import queue


def next_result(done, jobs):
    """The next thing that was put there. None: the processes have ended without a word."""
    while True:
        try:
            return done.get(timeout=5)
        except queue.Empty:
            if not any(job.is_alive() for job in jobs):
                return None


def end(jobs, patience_s):
    """Waits for them; who has not ended by then is ended."""
    for job in jobs:
        job.join(patience_s)
        if job.is_alive():
            job.terminate()
            job.join(20)
