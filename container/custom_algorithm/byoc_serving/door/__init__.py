"""The fast door: a worker of gunicorn's that answers /invocations itself and leaves the rest to Flask."""
