"""What an image URI stands for here: the engine's, a folder's, or nothing and how to mend that."""

import pytest

from byoc.local.errors import AwsError
from byoc.local.images import Engine, LocalImages, Sources, parts_of
from byoc.local.programs import Programs
from byoc.runtime.images import DockerImage, Folder

OURS = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DIGEST = f"sha256:{'0' * 64}"


def nothing(_image):
    return None


def images(tmp_path, named=(), *, checkout=None, find=nothing, pull=nothing, registry=None, remedy="NAME"):
    folders = {}
    for name in named:
        folders[name] = tmp_path / name.replace("/", "-")
        folders[name].mkdir()
    programs = Programs(tmp_path)
    programs.remember(folders, checkout)
    return LocalImages(Sources(programs, registry, remedy), Engine(find, pull))


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("model", ("", "model", "")),
        ("team/model:v1", ("", "team/model", "")),
        (f"{OURS}/team/model:v1", (OURS, "team/model", "")),
        (f"{OURS}/model@{DIGEST}", (OURS, "model", DIGEST)),
        (f"{OURS}/model:v1@{DIGEST}", (OURS, "model", DIGEST)),
        ("localhost/model", ("localhost", "model", "")),
        ("127.0.0.1:5000/team/model", ("127.0.0.1:5000", "team/model", "")),
    ],
)
def test_an_image_uri_has_a_host_a_repository_and_a_digest(image, parts):
    assert parts_of(image) == parts


def test_what_the_engine_has_comes_before_any_folder(tmp_path):
    found = images(tmp_path, ["model"], find=DockerImage).find("model:v1")
    assert found == DockerImage("model:v1")


def test_what_lies_in_our_registry_is_pulled(tmp_path):
    world = images(tmp_path, pull=DockerImage, registry="127.0.0.1:5000")
    assert world.find("127.0.0.1:5000/model:v1") == DockerImage("127.0.0.1:5000/model:v1")
    with pytest.raises(AwsError):
        world.find("elsewhere.example/model:v1")


@pytest.mark.parametrize("image", ["team/model", f"{OURS}/team/model:v1", "elsewhere.example/team/model:v1"])
def test_a_folder_stands_for_every_image_of_its_name(tmp_path, image):
    assert images(tmp_path, ["team/model"]).find(image) == Folder(tmp_path / "team-model")


@pytest.mark.parametrize("image", ["custom-algorithm", f"{OURS}/custom-algorithm@{DIGEST}"])
def test_the_checkouts_program_stands_for_images_of_its_own_name_alone(tmp_path, image):
    world = images(tmp_path, checkout=tmp_path)
    assert world.find(image) == Folder(tmp_path)
    for other in ("nonsense-image:9", f"{OURS}/whatever:v1"):
        with pytest.raises(AwsError, match="Could not find image"):
            world.find(other)


def test_where_there_is_nothing_the_remedy_is_told(tmp_path):
    with pytest.raises(AwsError, match=r"no program is called so\. up --program model=DIR") as refused:
        images(tmp_path, remedy="up --program NAME=DIR").find(f"{OURS}/model:v1")
    assert refused.value.code == "ValidationException"


def test_a_program_whose_folder_is_gone_is_told_with_its_folder(tmp_path):
    world = images(tmp_path, ["model"])
    (tmp_path / "model").rmdir()
    with pytest.raises(
        AwsError, match=f"the folder of its program is gone or closed: {tmp_path}/model. model"
    ):
        world.find("model")


def test_a_program_can_be_added_while_it_runs(tmp_path):
    world = images(tmp_path)
    Programs(tmp_path).remember({"late": tmp_path})
    assert world.find("late:v1") == Folder(tmp_path)


def test_an_image_of_an_earlier_digest_is_the_folder_as_it_is_now_and_the_log_says_so(tmp_path, caplog):
    caplog.set_level("INFO")
    world = images(tmp_path, ["model"])
    deployed = f"{OURS}/model@{world.stand_in('model').digest}"
    assert world.find(deployed) == Folder(tmp_path / "model")
    assert "has changed" not in caplog.text
    (tmp_path / "model" / "serve").write_text("new")
    assert world.find(deployed) == Folder(tmp_path / "model")
    assert f"has changed since: now it is {world.stand_in('model').digest}" in caplog.text
    assert world.stand_in("nobody") is None


def test_the_log_says_once_what_an_image_is(tmp_path, caplog):
    caplog.set_level("INFO")
    world = images(tmp_path, ["model"])
    for _ in range(3):
        world.find("model:v1")
    assert caplog.messages == [f"image model:v1 is the program in {tmp_path}/model"]
