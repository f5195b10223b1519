"""What callers are told of an error: one shape, and one wording where both nginx and Flask say it."""

import json
from collections.abc import Mapping


def error_body(code: str, message: str, details: Mapping[str, object] | None = None) -> bytes:
    """Return an error in the shape of all our errors: {"error": {"code", "message", ...details}}."""
    error = {"code": code, "message": message, **(details or {})}
    return json.dumps({"error": error}, default=str).encode() + b"\n"


def too_large_message(max_payload_mb: int) -> str:
    """Return what the caller of a body over the limit is told."""
    return f"The body is over {max_payload_mb} MB. Send less, or raise SAGEMAKER_MAX_PAYLOAD_IN_MB."
