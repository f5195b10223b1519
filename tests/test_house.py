"""The walls of the house: who may import whom (docs/adr/0001)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "container" / "custom_algorithm"
ROOMS = {path.stem for path in IMAGE.glob("*.py")} | {"byoc_serving", "byoc", "moto", "sagemaker"}
APPS = {path.stem for path in (IMAGE / "apps").glob("*.py")}


def python_files(folder):
    found = [path for path in folder.rglob("*.py") if ".temps" not in path.parts]
    return found + [folder / name for name in ("serve", "train") if (folder / name).exists()]


def imports_of(path):
    """Return the dotted names that a file imports, at its top or inside a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_of(path, rooms):
    return {name.partition(".")[0] for name in imports_of(path)} & rooms


@pytest.mark.parametrize("path", python_files(IMAGE), ids=lambda path: str(path.relative_to(IMAGE)))
def test_nothing_in_the_image_knows_the_laptop(path):
    assert not rooms_of(path, {"byoc", "moto", "sagemaker", "click"})


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        ("wsgi.py", {"predictor"}),
        ("debug_api.py", {"predictor", "byoc_serving"}),
        ("test_api.py", set()),
        ("predictor.py", {"byoc_serving"}),
        ("serve", {"byoc_serving"}),
        ("train", {"byoc_serving"}),
    ],
)
def test_each_program_of_the_image_calls_only_the_room_below(program, allowed):
    assert rooms_of(IMAGE / program, ROOMS | APPS) <= allowed


@pytest.mark.parametrize("path", python_files(IMAGE / "byoc_serving"), ids=lambda path: path.name)
def test_the_library_imports_neither_the_programs_nor_apps(path):
    assert rooms_of(path, ROOMS | APPS) <= {"byoc_serving"}


@pytest.mark.parametrize(
    ("room", "others"),
    [
        ("formats", {"errors"}),
        ("versions", {"errors", "settings", "stopping"}),
        ("metrics", {"calls"}),
        ("supervision", {"errors", "logs", "messages", "metrics", "settings", "versions"}),
        ("model_files", {"errors", "formats", "remedies", "routing", "settings", "versions"}),
        (
            "models",
            {"algorithm", "call_log", "calls", "copies", "errors", "family", "formats", "invocation"}
            | {"loading", "metrics", "settings", "streams", "versions"},
        ),
        # What serves: it stands above all the others, and only gunicorn, by name, above it.
        (
            "door",
            {
                "call_log",
                "calls",
                "errors",
                "invocation",
                "loading",
                "logs",
                "messages",
                "metrics",
                "models",
                "settings",
                "streams",
                "supervision",
                "threads",
                "versions",
                "warming",
            },
        ),
    ],
)
def test_the_rooms_of_the_library_know_only_what_lies_below_them(room, others):
    for path in python_files(IMAGE / "byoc_serving" / room):
        ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("byoc_serving.")}
        assert ours <= {room, *others}, path


@pytest.mark.parametrize("path", python_files(IMAGE / "byoc_serving"), ids=lambda path: path.name)
def test_only_algorithm_imports_by_name_and_only_settings_reads_the_environment(path):
    text = path.read_text()
    assert ("importlib.import_module" in text) <= (path.name == "algorithm.py")
    assert ("os.environ" in text or "os.getenv" in text) <= (path.name == "settings.py")


@pytest.mark.parametrize("path", python_files(IMAGE / "apps"), ids=lambda path: path.name)
def test_apps_uses_only_the_librarys_errors_model_versions_and_test_client(path):
    ours = {name for name in imports_of(path) if name.startswith("byoc_serving.")}
    assert {".".join(name.split(".")[:2]) for name in ours} <= {
        "byoc_serving.errors",
        "byoc_serving.model_version",
        "byoc_serving.testing",
    }


@pytest.mark.parametrize("path", python_files(ROOT / "byoc"), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_laptop_reaches_the_image_only_over_the_wire(path):
    local = (ROOT / "byoc" / "local") in path.parents
    foreign = {"moto"} if local else {"sagemaker"} if path.name == "sdk.py" else set()
    assert rooms_of(path, ROOMS | APPS) <= {"byoc", *foreign}


@pytest.mark.parametrize(
    ("room", "others"),
    [
        ("runtime", {"errors"}),
        ("check", {"errors", "runtime"}),
        ("local", {"runtime"}),  # clients reach it by its URL, as they reach AWS
        ("deploy", {"aws", "config", "errors", "predictions", "sdk", "stages"}),
    ],
)
def test_the_rooms_of_the_laptop_know_only_what_lies_below_them(room, others):
    for path in python_files(ROOT / "byoc" / room):
        ours = {name.split(".")[1] for name in imports_of(path) if name.startswith("byoc.")}
        assert ours <= {room, *others}, path


@pytest.mark.parametrize("path", python_files(ROOT / "byoc"), ids=lambda path: str(path.relative_to(ROOT)))
def test_boto3_has_one_door(path):
    assert rooms_of(path, {"boto3"}) <= (
        {"boto3"} if path.name in {"aws.py", "local_commands.py", "testing.py"} else set()
    )


def test_the_doors_are_short():
    for door in ("generate_endpoint.py", "test_endpoint.py"):
        assert len((ROOT / door).read_text().splitlines()) <= 60
