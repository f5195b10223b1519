"""What an image URI stands for here: the engine's, a folder's, or nothing and how to mend that."""

import pytest

from byoc.local.errors import AwsError
from byoc.local.images import Engine, LocalImages, Programs, add_program, parts_of
from byoc.runtime.images import DockerImage, Folder

OURS = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


def nothing(_image):
    return None


def images(tmp_path, named=(), *, default=None, find=nothing, pull=nothing, registry=None, added=None):
    folders = {}
    for name in named:
        folders[name] = tmp_path / name.replace("/", "-")
        folders[name].mkdir()
    return LocalImages("123456789012", Programs(folders, default, added), registry, Engine(find, pull))


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("model", ("", "model")),
        ("team/model:v1", ("", "team/model")),
        (f"{OURS}/team/model:v1", (OURS, "team/model")),
        (f"{OURS}/model@sha256:{'0' * 64}", (OURS, "model")),
        (f"{OURS}/model:v1@sha256:{'0' * 64}", (OURS, "model")),
        ("localhost/model", ("localhost", "model")),
        ("127.0.0.1:5000/team/model", ("127.0.0.1:5000", "team/model")),
    ],
)
def test_an_image_uri_has_a_host_and_a_repository(image, parts):
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


def test_the_checkouts_program_stands_for_any_other_image_of_our_account_alone(tmp_path):
    world = images(tmp_path, default=tmp_path)
    assert world.find(f"{OURS}/whatever:v1") == Folder(tmp_path)
    assert world.find("whatever") == Folder(tmp_path)
    with pytest.raises(AwsError, match="Could not find image"):
        world.find("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1")


def test_where_there_is_nothing_the_remedy_is_told(tmp_path):
    with pytest.raises(AwsError, match=r"--program model=DIR") as refused:
        images(tmp_path).find(f"{OURS}/model:v1")
    assert refused.value.code == "ValidationException"


def test_a_program_can_be_added_while_it_runs(tmp_path):
    world = images(tmp_path, added=tmp_path / "programs.json")
    add_program(tmp_path, "late", tmp_path)
    add_program(tmp_path, "later", tmp_path)
    assert world.find("late:v1") == world.find("later") == Folder(tmp_path)
