"""The app for a WSGI server: `gunicorn wsgi:app`."""

from predictor import create_app

app = create_app()
