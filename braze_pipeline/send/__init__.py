"""The send: carries out a plan. Every user of it ends as accepted, rejected, or not attempted.

=================== ===========================================================================
``step``            the whole step: find the plan, send it, apply what was acknowledged
``one_user``        the same for one user alone, on request
``batches``         the plan's snapshot as requests, in bounded memory, without what is done
``engine``          workers, progress, stopping
``delivery``        one request: waiting, retries, splitting
``route``           which endpoint takes them, and falling back from bulk
``budget``          what was used of a rate limit, shared with other senders
``concurrency``     how many requests are in flight
``result``          what a send measured
``read_back``       a sample compared with what Braze has
``accounting``      the proof that every user is accounted for
``outcome_records`` one row per send in the database
=================== ===========================================================================

No DuckDB connection is open while requests go out: the snapshot is read as Parquet, and answers go
to the journal.
"""

from braze_pipeline.send.engine import SendJob, send_plan, sent_so_far
from braze_pipeline.send.result import SendProgress, SendResult
from braze_pipeline.storage.lock import between_sends, sending

__all__ = [
    "SendJob", "SendProgress", "SendResult", "between_sends", "send_plan", "sending", "sent_so_far",
]  # fmt: skip
