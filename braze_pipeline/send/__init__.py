"""The send: carrying out a plan. Every user of it ends as accepted, rejected, or not attempted.

============ ==================================================================================
``batches``  the plan's snapshot as requests, in bounded memory, without what is done already
``engine``   workers, pace, retries, splitting, stopping
``result``   what a send measured
``lock``     one send a destination at a time, and no command on its ledger meanwhile
============ ==================================================================================

No DuckDB connection is used here: the snapshot is read as Parquet, and answers go to the journal.
"""

from braze_pipeline.send.engine import send_plan
from braze_pipeline.send.result import SendProgress, SendResult
from braze_pipeline.storage.lock import between_sends, sending

__all__ = ["SendProgress", "SendResult", "between_sends", "send_plan", "sending"]
