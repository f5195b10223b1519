"""build_and_push.sh, unmodified, against a real engine and a real registry, with the real aws CLI."""

import json
import urllib.request
from base64 import b64encode

import pytest

from docker_engine import PASSWORD, Engine

pytestmark = pytest.mark.docker


def tags_of(engine: Engine, name: str) -> set[str]:
    request = urllib.request.Request(f"http://{engine.registry}/v2/{name}/tags/list")
    request.add_header("Authorization", "Basic " + b64encode(f"AWS:{PASSWORD}".encode()).decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        return set(json.load(answer)["tags"])


def test_the_last_line_is_an_image_that_can_be_pulled_by_its_digest_and_a_second_run_pushes_nothing(
    engine, checkout
):
    pushed = checkout.push("team/model", "--tag", "v1", "--expire-untagged-days", "14")

    assert pushed.returncode == 0, pushed.stderr
    (uri,) = pushed.stdout.splitlines()
    assert uri.startswith(f"{engine.registry}/team/model@sha256:")
    assert tags_of(engine, "team/model") == {checkout.commit(), "v1"}
    engine.docker("pull", uri)

    again = checkout.push("team/model", "--tag", "v1")

    assert again.returncode == 0, again.stderr
    assert again.stdout == pushed.stdout
    assert again.stderr.count("is there already, with this very image") == 2
    assert "The push refers to" not in again.stderr


def test_another_image_goes_under_a_dirty_tag_and_under_no_immutable_one(engine, checkout):
    first = checkout.push("fixed", "--tag", "v1", "--immutable-tags")
    checkout.change("NEW = True\n")

    refused = checkout.push("fixed", "--tag", "v1")
    tags_between = tags_of(engine, "fixed")
    dirty = checkout.push("fixed")

    assert first.returncode == 0, first.stderr
    assert refused.returncode == 4, refused.stderr
    assert "the tag v1 of fixed is immutable and names another image" in refused.stderr
    assert refused.stdout == ""
    assert tags_between == {checkout.commit(), "v1"}
    assert dirty.returncode == 0, dirty.stderr
    assert tags_of(engine, "fixed") == {checkout.commit(), "v1", f"{checkout.commit()}-dirty"}
