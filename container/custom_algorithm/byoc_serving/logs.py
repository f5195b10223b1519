"""One JSON object a line on stdout, which is what CloudWatch Logs keeps and can query."""

import json
import logging
import logging.config
import time
from typing import Any

_CHATTY = ("boto3", "botocore", "gunicorn.error", "s3transfer", "urllib3", "werkzeug")
_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """Writes time (UTC), level, logger, message, the record's `extra` fields and any traceback."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in record.__dict__.items() if key not in _PLAIN}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def logging_configuration(level: int) -> dict[str, Any]:
    """Return what logging.config.dictConfig takes to send every logger to stdout as JSON lines.

    Args:
        level: the lowest level that is written, as in logging. Libraries are heard from WARNING upwards.
    """
    quiet = {"level": max(level, logging.WARNING), "propagate": True}  # gunicorn turns its own off
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {
            "stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}
        },
        "root": {"level": level, "handlers": ["stdout"]},
        "loggers": dict.fromkeys(_CHATTY, quiet),
    }


def log_to_stdout(level: int) -> None:
    """Send every logger of this process to stdout as JSON lines, from `level` (as in logging) upwards."""
    logging.config.dictConfig(logging_configuration(level))
