import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from byoc_serving.errors import BadRequestError
from byoc_serving.formats.codecs import decode, encode
from byoc_serving.formats.negotiation import media_type
from byoc_serving.formats.plain import UnencodableError

NPZ = media_type("application/x-npz")
GOLDEN = Path(__file__).parents[2] / "golden" / "bodies"
DUMMY_DATA = Path(__file__).parents[3] / "dummy_data"


def npz_of(save=np.savez, **arrays):
    out = io.BytesIO()
    save(out, **arrays)
    return out.getvalue()


def zip_of(files, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, body in files:
            archive.writestr(name, body)
    return out.getvalue()


def npy_of(array):
    return encode(array, "application/x-npy")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_one_array_is_that_array(save):
    table = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(decode(npz_of(save, table=table), NPZ), table)
    assert decode(npz_of(save, row=table[0]), NPZ).shape == (1, 3)


def test_the_sample_has_the_rows_of_the_dummy_data():
    rows = np.load(DUMMY_DATA / "breast_cancer.npy")
    np.testing.assert_array_equal(decode((GOLDEN / "breast_cancer.npz").read_bytes(), NPZ, 30), rows)


def test_several_arrays_are_a_dict_in_their_order_as_they_were_saved():
    data = decode(npz_of(z=np.array([1, 2]), a=np.array(["x"]), m=np.array(1.5)), NPZ, n_features=7)
    assert {name: array.tolist() for name, array in data.items()} == {"z": [1, 2], "a": ["x"], "m": 1.5}
    assert list(data) == ["z", "a", "m"]


def test_the_width_of_one_array_is_held_against_n_features():
    with pytest.raises(BadRequestError, match="The model takes 4"):
        decode(npz_of(a=np.zeros((2, 3))), NPZ, n_features=4)


@pytest.mark.parametrize(
    "prediction", [np.arange(3), [[1.5, 2]], {"labels": np.array(["a"]), "scores": [0.5]}]
)
def test_numpy_reads_what_is_encoded(prediction):
    expected = prediction if isinstance(prediction, dict) else {"arr_0": prediction}
    with np.load(io.BytesIO(encode(prediction, "application/x-npz")), allow_pickle=False) as arrays:
        assert {name: arrays[name].tolist() for name in arrays} == {
            name: np.asarray(array).tolist() for name, array in expected.items()
        }


@pytest.mark.parametrize("prediction", [{"a": [object()]}, {1: [1]}, {"a": "text"}, {"a": {"b": 1}}])
def test_npz_never_needs_pickle(prediction):
    with pytest.raises(UnencodableError):
        encode(prediction, "application/x-npz")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"PK\x05\x06" + bytes(18), "empty"),
        (b"PK\x03\x04 nothing", "not NPZ"),
        (npz_of(a=np.zeros(9))[:-9], "not NPZ"),
        (npz_of(a=np.zeros(90)).replace(bytes(64), b"\1" * 64, 1), "not NPZ"),
        (zip_of([("a.txt", b"1")]), "'a.txt'"),
        (zip_of([("a.npy", npy_of([1.0]))], zipfile.ZIP_LZMA), "'a.npy'"),
        (zip_of([("a.npy", npy_of([1.0]))], zipfile.ZIP_BZIP2), "'a.npy'"),
        (zip_of((f"{place}.npy", b"") for place in range(1001)), "at most 1000"),
        (zip_of([("a.npy", b"1")]), "not NPY"),
        (zip_of([("a.npy", npy_of([1.0])), ("b.npy", b"1")]), "not NPY"),
    ],
)
def test_what_is_no_npz_is_refused(body, words):
    with pytest.raises(BadRequestError, match=words):
        decode(body, NPZ)


def test_pickle_is_refused():
    with pytest.raises(BadRequestError, match="pickle"):
        decode(npz_of(a=np.array([{}], dtype=object)), NPZ)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused():
    with pytest.raises(BadRequestError, match="one name"):
        decode(zip_of([("a.npy", b""), ("a.npy", b"")]), NPZ)


def test_a_bomb_is_refused_before_it_is_there():
    bomb = zip_of([("a.npy", bytes(70_000_000))])
    tracemalloc.start()
    with pytest.raises(BadRequestError, match="would become 70000000 bytes") as refused:
        decode(bomb, NPZ)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.details == {"claimed_bytes": 70_000_000, "limit_bytes": 64 << 20}
    assert peak < 1_000_000


def test_a_bomb_that_lies_about_its_length_becomes_no_more_than_that():
    bomb = zip_of([("a.npy", bytes(70_000_000))])
    for claimed in (1000, 0):
        lying = bomb.replace((70_000_000).to_bytes(4, "little"), claimed.to_bytes(4, "little"))
        tracemalloc.start()
        with pytest.raises(BadRequestError):
            decode(lying, NPZ)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1_000_000
