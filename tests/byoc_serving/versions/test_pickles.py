import bz2
import gzip
import io
import lzma
import pickle
import tracemalloc
import zipfile
import zlib

import cloudpickle
import joblib
import numpy as np
import pytest

from byoc_serving.errors import ModelVersionError
from byoc_serving.versions.pickles import holds_pickle, refuse_main_pickles


class Mine:
    """Stands for a class that a training script defines: the tests below give it to `__main__`."""

    def __init__(self):
        self.coefficients = np.arange(1000.0)

    class Inner:
        pass


class Elsewhere:
    """A class of a module."""


@pytest.fixture(autouse=True)
def _mine_belongs_to_main(monkeypatch):
    import __main__

    for cls in (Mine, Mine.Inner):
        monkeypatch.setattr(cls, "__module__", "__main__")
    monkeypatch.setattr(__main__, "Mine", Mine, raising=False)


def refusal(path):
    """Return why a file is refused, None if it is not."""
    try:
        refuse_main_pickles(path, "sub/model.bin")
    except ModelVersionError as error:
        return str(error)
    return None


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.bin"


def test_the_refusal_names_class_file_and_remedy(path):
    path.write_bytes(pickle.dumps(Mine()))
    text = refusal(path)
    assert text.startswith("Pickled from __main__: sub/model.bin refers to 'Mine'")
    assert "into a module in apps/, import it from there in main.py" in text


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "make",
    [
        Mine,
        lambda: Mine,
        Mine.Inner,
        lambda: ["__main__", {"__main__": 1}, Elsewhere(), Mine()],
        lambda: [np.zeros(1000), "x" * 100_000, b"y" * 100_000, Mine(), np.arange(5)],
    ],
    ids=["object", "class", "inner", "among strings", "among arrays"],
)
def test_a_reference_to_main_is_found_in_every_protocol(path, protocol, make):
    path.write_bytes(pickle.dumps(make(), protocol))
    assert "refers to 'Mine" in refusal(path)


@pytest.mark.parametrize("compress", [0, "zlib", "gzip", "bz2", "xz", "lzma"])
@pytest.mark.parametrize(
    "value", [lambda: [Mine(), np.zeros(9)], lambda: [np.arange(1e5), Elsewhere(), Mine()]]
)
def test_a_reference_to_main_is_found_in_joblibs_files(path, compress, value):
    joblib.dump(value(), path, compress=compress and (compress, 3))
    assert "refers to 'Mine" in refusal(path)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_compressed_pickles_are_looked_into(path, pack):
    path.write_bytes(pack(pickle.dumps(Mine())))
    assert "refers to 'Mine" in refusal(path)
    assert holds_pickle(path)


def test_zip_archives_such_as_torchs_are_looked_into(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data/0", b"\0" * 1000)
        archive.writestr("archive/data.pkl", pickle.dumps(Mine(), 2))
    assert "refers to 'Mine" in refusal(path)
    assert holds_pickle(path)


def test_pickles_with_raw_bytes_behind_them_such_as_torchs_older_files_are_looked_into(path):
    path.write_bytes(pickle.dumps(1, 2) + pickle.dumps(Mine(), 2) + b"\0\1\2" * 1000)
    assert "refers to 'Mine" in refusal(path)


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_arrays_of_objects_are_looked_into(path, save):
    content = io.BytesIO()
    save(content, np.array([Mine(), 1], dtype=object))
    path.write_bytes(content.getvalue())
    assert "refers to 'Mine" in refusal(path)


HARMLESS = ["__main__", {"__main__": "Mine"}, np.zeros(10), Elsewhere(), b"c__main__\nMine\n"]


def joblib_bytes(value, compress):
    content = io.BytesIO()
    joblib.dump(value, content, compress=compress)
    return content.getvalue()


@pytest.mark.parametrize(
    "make",
    [
        *(lambda protocol=protocol: pickle.dumps(HARMLESS, protocol) for protocol in range(6)),
        *(
            lambda pack=pack: joblib_bytes([np.arange(1e5), "__main__", Elsewhere(), np.zeros((3, 3))], pack)
            for pack in (0, ("zlib", 3), ("xz", 3))
        ),
        lambda: cloudpickle.dumps(Mine),
        lambda: cloudpickle.dumps(Mine()),
        lambda: cloudpickle.dumps(lambda x: Mine().coefficients * x),
        lambda: b"",
        lambda: b"if __name__ == '__main__':\n    run()\n",
        lambda: b"c__main__\nMine\n and a text",
        lambda: b"PK\x03\x04 no zip __main__",
        lambda: b"\x1f\x8b no gzip",
        lambda: b"x\x9c no zlib",
        lambda: b"BZh no bzip2",
        lambda: b"\xfd7zXZ\x00 no xz",
        lambda: b"\x93NUMPY\x01",
        lambda: b"\x80\x04",
    ],
)
def test_what_refers_to_nothing_in_main_passes(path, make):
    path.write_bytes(make())
    assert refusal(path) is None


def test_a_large_pickle_is_searched_in_little_memory(path):
    path.write_bytes(pickle.dumps([np.zeros(8_000_000, dtype="u1"), b"z" * 40_000_000, Mine()]))
    tracemalloc.start()
    assert "refers to 'Mine" in refusal(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12_000_000


def test_a_pickle_is_told_by_its_bytes_or_its_name(tmp_path):
    def told(name, content):
        (tmp_path / name).write_bytes(content)
        return holds_pickle(tmp_path / name)

    assert told("a", pickle.dumps(1))
    assert told("a.joblib", b"anything")
    assert not told("model.txt", b"tree")
    assert not told("empty", b"")
