"""What nginx allows a call to /invocations is read from its configuration as nginx reads it."""

import pytest

from byoc.check.nginx import limits_of

AWS = """
worker_processes 1;
events { accept_mutex off; }
http {
  include /etc/nginx/mime.types;  # of the system
  upstream gunicorn { server unix:/tmp/gunicorn.sock; }
  server {
    listen 8080 deferred;
    client_max_body_size 5m;
    keepalive_timeout 5;
    location ~ ^/(ping|invocations) {
      proxy_set_header Host $http_host;
      proxy_pass http://gunicorn;
    }
    location / { return 404 "{}"; }
  }
}
"""


def server(inside, http=""):
    return f"http {{ {http} server {{ {inside} }} }}"


def test_aws_own_sample_allows_5_mb_and_what_nginx_has_by_itself():
    limits = limits_of(AWS)
    assert (limits.body, limits.body_bytes, limits.is_body_given) == ("5m", 5 * 2**20, True)
    assert (limits.timeout_name, limits.timeout_s, limits.is_timeout_given) == (
        "proxy_read_timeout",
        60,
        False,
    )


def test_a_configuration_that_passes_no_call_on_limits_none():
    assert limits_of("http { server { location /ping { proxy_pass http://a; } } }") is None
    assert limits_of("") is None


@pytest.mark.parametrize(
    ("locations", "timeout"),
    [
        ("location / { proxy_pass http://a; proxy_read_timeout 1; } location = /invocations { PASS }", "7s"),
        ("location / { proxy_pass http://a; proxy_read_timeout 1; } location /inv { PASS }", "7s"),
        ("location /inv { proxy_pass http://a; proxy_read_timeout 1; } location ~ /invo.* { PASS }", "7s"),
        ("location ~ ^/other { proxy_pass http://a; } location ^~ /inv { PASS }", "7s"),
        ("location = /ping { proxy_pass http://a; proxy_read_timeout 2s; } location / { PASS }", "7s"),
    ],
)
def test_what_counts_is_the_location_that_nginx_takes(locations, timeout):
    passing = locations.replace("PASS", "proxy_pass http://b; proxy_read_timeout 7s;")
    assert limits_of(server(passing)).timeout == timeout


def test_a_location_has_what_stands_around_it():
    limits = limits_of(
        server("location / { uwsgi_pass a; }", "client_max_body_size 0; uwsgi_read_timeout 2m;")
    )
    assert (limits.body_bytes, limits.timeout_name, limits.timeout_s) == (
        float("inf"),
        "uwsgi_read_timeout",
        120,
    )


@pytest.mark.parametrize("value", ["@max_body@", "${MAX_BODY}m", "{{ body }}", "%BODY%", "$BODY"])
def test_what_a_script_fills_in_is_not_known(value):
    assert (
        limits_of(server(f"client_max_body_size {value}; location / {{ proxy_pass http://a; }}")).body_bytes
        is None
    )


@pytest.mark.parametrize(
    "text",
    [
        "server { location / { proxy_pass http://a; } }",
        server("location / { proxy_pass http://a; }", "include /etc/nginx/conf.d/*.conf;\n"),
    ],
)
def test_what_may_stand_in_another_file_is_not_known(text):
    assert limits_of(text.replace("include", "\ninclude")).body_bytes is None
