"""Counts calls, once each has its response; this is done so often that it is written for speed."""

import threading
from bisect import bisect_left

from byoc_serving.calls import Call, Stages, rows_of
from byoc_serving.metrics.own import OwnMetrics
from byoc_serving.metrics.table import (
    BYTES_IN,
    BYTES_OUT,
    DECODE,
    ENCODE,
    PREDICT,
    REFUSED,
    ROWS,
    SECONDS_BOUNDS,
    SERVER_ERRORS,
    STATUS_CLASSES,
    TOGETHER,
    TOGETHER_BOUNDS,
    TOTAL,
    WAIT,
    Table,
)


class Meter:
    """Writes into the table of this process; one thread at a time.

    Attributes:
        table: that table.
        own: for the user's code, from any thread.
        lock: for those who are not the only thread.
        in_flight: how many calls they have begun and not ended.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.own = OwnMetrics(table)
        self.lock = threading.Lock()
        self.in_flight = 0
        self._numbers = table.numbers

    def note(self, call: Call) -> None:
        """Count a call that has ended."""
        numbers, stages, request, response = self._numbers, call.stages, call.request, call.answer
        status_class = response.status // 100
        numbers[status_class if 0 <= status_class < STATUS_CLASSES else SERVER_ERRORS] += 1.0
        numbers[BYTES_IN] += len(request.body)
        if type(response.body) is bytes:
            numbers[BYTES_OUT] += len(response.body)
        arrived_s = request.received_s or stages.began_s
        seconds = stages.ended_s - arrived_s
        numbers[TOTAL] += seconds
        numbers[TOTAL + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
        if not stages.predicted_s:
            return
        seconds = stages.waited_s(arrived_s)
        numbers[WAIT] += seconds
        numbers[WAIT + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
        numbers[ROWS] += rows_of(call.data) or 0
        if call.is_first:
            self._note_stages(stages)

    def _note_stages(self, stages: Stages) -> None:
        """Count what all calls that were predicted together have in common, for each of them."""
        numbers, many = self._numbers, float(stages.together)
        for place, seconds in (
            (DECODE, stages.decoded_s - stages.began_s),
            (PREDICT, stages.predicted_s - stages.predicting_s),
            (ENCODE, stages.encoded_s - stages.predicted_s),
        ):
            numbers[place] += seconds * many
            numbers[place + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += many
        numbers[TOGETHER] += many
        numbers[TOGETHER + 1 + bisect_left(TOGETHER_BOUNDS, many)] += 1.0

    def refuse(self, call: Call) -> None:
        """Count a call that was refused because too many wait."""
        self._numbers[REFUSED] += 1.0
        self.note(call)
