"""What nginx and gunicorn allow is told from their words and files, and never guessed."""

import pytest

from byoc.check.rules.proxies import of_gunicorn, of_nginx


@pytest.mark.parametrize(
    ("words", "configuration", "seen", "is_enough"),
    [
        ("gunicorn wsgi:app", "", "gunicorn is given no --timeout, which is 30 s then", False),
        ("gunicorn --timeout 20 wsgi:app", "", "gunicorn's timeout is 20 s", False),
        ("gunicorn --timeout=65 wsgi:app", "", "gunicorn's timeout is 65 s", True),
        ("gunicorn -t 0 wsgi:app", "", "gunicorn's timeout is 0 s", True),
        ("gunicorn -t120 wsgi:app", "", "gunicorn's timeout is 120 s", True),
        ("gunicorn wsgi:app", "workers = 2\ntimeout = 90  # s\n", "gunicorn's timeout is 90 s", True),
        ("gunicorn -c g.py wsgi:app", "timeout = int(x)\n", "gunicorn's timeout is computed", None),
        ("gunicorn -c python:g wsgi:app", None, "gunicorn's timeout is computed", None),
    ],
)
def test_gunicorns_timeout_is_read_from_its_words_or_its_file(words, configuration, seen, is_enough):
    found = of_gunicorn(words.split(), configuration)
    assert (found.seen, found.is_enough) == (seen, is_enough)


@pytest.mark.parametrize(
    ("words", "configuration"),
    [
        ("gunicorn -k uvicorn.workers.UvicornWorker a:b", ""),
        ("gunicorn --threads 4 a:b", ""),
        ("gunicorn a:b", 'worker_class = "gthread"\n'),
    ],
)
def test_a_timeout_that_no_call_meets_is_none(words, configuration):
    assert of_gunicorn(words.split(), configuration) is None


def test_each_of_nginx_limits_is_held_against_sagemakers():
    text = "http { server { client_max_body_size 5m; location / { proxy_pass http://a; } } }"
    assert [(one.seen, one.is_enough) for one in of_nginx("nginx.conf", text)] == [
        ("nginx.conf has client_max_body_size 5m", False),
        ("nginx.conf has no proxy_read_timeout, which is 60s then", False),
    ]
    wide = text.replace("5m", "25m; proxy_read_timeout 90s")
    assert [one.is_enough for one in of_nginx("nginx.conf", wide)] == [True, True]
