"""Counts calls, once each has its response; this is done so often that it is written for speed."""

import threading
from bisect import bisect_left

from byoc_serving.calls import Call
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
        numbers, request, response = self._numbers, call.request, call.response
        if response is None:
            return
        status_class = response.status // 100
        numbers[status_class if 0 <= status_class < STATUS_CLASSES else SERVER_ERRORS] += 1.0
        numbers[BYTES_IN] += len(request.body)
        if type(response.body) is bytes:
            numbers[BYTES_OUT] += len(response.body)
        began_s, ended_s, predicted_s = call.began_s, call.ended_s, call.predicted_s
        arrived_s = request.received_s or began_s
        seconds = ended_s - arrived_s
        numbers[TOTAL] += seconds
        numbers[TOTAL + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
        if not predicted_s:
            return
        decoded_s, predicting_s = call.decoded_s, call.predicting_s
        seconds = decoded_s - began_s
        numbers[DECODE] += seconds
        numbers[DECODE + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
        seconds = began_s - arrived_s + predicting_s - decoded_s
        numbers[WAIT] += seconds
        numbers[WAIT + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
        seconds = predicted_s - predicting_s
        numbers[PREDICT] += seconds
        numbers[PREDICT + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
        seconds = ended_s - predicted_s
        numbers[ENCODE] += seconds
        numbers[ENCODE + 1 + bisect_left(SECONDS_BOUNDS, seconds)] += 1.0
        shape = getattr(call.data, "shape", None)
        if shape:
            numbers[ROWS] += shape[0]
        if call.is_first:
            numbers[TOGETHER] += call.together
            numbers[TOGETHER + 1 + bisect_left(TOGETHER_BOUNDS, call.together)] += 1.0

    def refuse(self, call: Call) -> None:
        """Count a call that was refused because too many wait."""
        self._numbers[REFUSED] += 1.0
        self.note(call)
