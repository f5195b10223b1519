"""What gunicorn serves."""

from predictor import app

__all__ = ["app"]
