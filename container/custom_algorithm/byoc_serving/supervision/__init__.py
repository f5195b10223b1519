"""`serve`: nginx and gunicorn under one supervisor that answers /ping."""
