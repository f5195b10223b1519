"""A local SageMaker that is killed leaves no child, and its next life goes on where the data says it was."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import HTTPClientError

from byoc.local import launch
from byoc.local.launch import Asked
from byoc.local.testing import SageMakerLocal
from processes import alive, below, eventually, processes_with
from sagemaker_user import User, number_program

START_S = 2.0
# How much slower than usual this machine may be, while other tests run beside these.
PATIENCE = 4
GONE_WITHIN_S = 10
ONCE = Config(retries={"total_max_attempts": 1})


class Lives:
    """One local SageMaker after another, each with the same data."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.program = number_program(folder / "number")
        self._asked = Asked(port=0, data=self.data, programs={"number": self.program})
        self._user: User | None = None

    @contextmanager
    def live(self) -> Iterator[User]:
        began = time.monotonic()
        with launch.embedded(self._asked, os.environ) as instance:
            assert time.monotonic() - began < START_S * PATIENCE
            if self._user is None:
                self._user = User.of(instance, SageMakerLocal(instance).image("number"))
            assert instance.access_key == self._user.instance.access_key
            yield replace(self._user, instance=instance)
        self._asked = replace(self._asked, programs={})  # the data remembers them

    def kill(self, user: User) -> None:
        """kill -9; see that all that it had started ends."""
        children = below(user.instance.pid)
        programs = processes_with(str(self.data / "programs"))
        assert programs
        assert set(programs) <= set(children)
        os.kill(user.instance.pid, signal.SIGKILL)
        assert eventually(lambda: not any(map(alive, children)), GONE_WITHIN_S)
        assert eventually(lambda: not processes_with(str(self.data)))


@pytest.fixture
def lives(tmp_path):
    return Lives(tmp_path)


def test_killed_while_it_trains_it_knows_its_jobs_and_what_became_of_them(lives):
    with lives.live() as user:
        model = user.train("done", number="5")
        user.start_training("cut-off", {"MARK": "mark"}, number="6")
        user.wait((lives.program / "mark").exists)
        user.wait(lambda: user.job("cut-off")["SecondaryStatus"] == "Training")
        lives.kill(user)

    with lives.live() as user:
        assert user.job("done")["ModelArtifacts"]["S3ModelArtifacts"] == model
        cut_off = user.job("cut-off")
        assert cut_off["TrainingJobStatus"] == "Failed"
        assert "the local SageMaker was stopped while the job ran" in cut_off["FailureReason"]
        assert not list((lives.data / "programs").glob("job-*"))


def test_killed_while_it_serves_its_endpoints_come_back(lives):
    with lives.live() as user:
        user.serve("seven", user.upload("seven", number="7"))
        broken = threading.Thread(target=ask_for_ever, args=[user, "seven"])
        broken.start()
        user.wait(lambda: list((lives.data / "programs").rglob("asked")))
        lives.kill(user)
        broken.join(GONE_WITHIN_S)
        assert not broken.is_alive()

    with lives.live() as user:
        user.wait_until_in_service("seven")
        assert user.ask("seven") == {"number": "7", "asked": "?", "aws": user.instance.url}
        sagemaker = user.client("sagemaker")
        assert sagemaker.describe_model(ModelName="seven")["PrimaryContainer"]["Image"] == user.image
        assert sagemaker.describe_endpoint_config(EndpointConfigName="seven")["ProductionVariants"]
        (listed,) = sagemaker.list_endpoints()["Endpoints"]
        assert listed["EndpointName"] == "seven"


def ask_for_ever(user, endpoint):
    with pytest.raises(HTTPClientError):
        user.client("sagemaker-runtime", config=ONCE).invoke_endpoint(EndpointName=endpoint, Body=b"for ever")


def test_killed_during_an_update_it_finishes_that_in_its_next_life(lives, tmp_path):
    gate = lives.program / f"gate-{tmp_path.name}"
    with lives.live() as user:
        user.serve("old", user.upload("old", number="1"))
        user.configure("new", user.upload("new", number="2"), {"GATE": gate.name})
        user.client("sagemaker").update_endpoint(EndpointName="old", EndpointConfigName="new")
        user.wait(lambda: processes_with(f"GATE={gate.name}"))
        assert user.endpoint("old")["EndpointStatus"] == "Updating"
        assert user.ask("old")["number"] == "1"
        lives.kill(user)

    with lives.live() as user:
        assert user.endpoint("old")["EndpointStatus"] == "Updating"
        gate.touch()
        user.wait_until_in_service("old")
        assert user.endpoint("old")["EndpointConfigName"] == "new"
        assert user.ask("old")["number"] == "2"
        assert len(list((lives.data / "programs" / "endpoints").glob("i-*/"))) == 1
