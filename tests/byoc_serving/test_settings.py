"""settings: the variables of SageMaker's contract, and an error that names the bad one."""

import logging
from pathlib import Path

import pytest

from byoc_serving.errors import SettingsError
from byoc_serving.settings import Settings, settings_from


def test_an_empty_environment_gives_the_contract_of_sagemaker():
    settings = settings_from({})
    assert settings == Settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)
    assert settings.model_dir == Path("/opt/ml/model")
    assert settings.max_payload_bytes == 25 * 1024 * 1024


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("SAGEMAKER_BASE_DIR", "/elsewhere", "base_dir", Path("/elsewhere")),
        ("SAGEMAKER_PROGRAM", "my_script.py", "program", "my_script.py"),
        ("SAGEMAKER_BIND_TO_PORT", "9001", "port", 9001),
        ("MODEL_SERVER_HOST", "127.0.0.1", "host", "127.0.0.1"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "3", "workers", 3),
        ("MODEL_SERVER_WORKERS", "4", "workers", 4),
        ("SAGEMAKER_MODEL_SERVER_TIMEOUT", "3600", "timeout_s", 3600.0),
        ("MODEL_SERVER_TIMEOUT", "0.5", "timeout_s", 0.5),
        ("SAGEMAKER_STARTUP_TIMEOUT", "30", "startup_timeout_s", 30.0),
        ("MODEL_SERVER_PRELOAD", "true", "preload", True),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "10", "log_level", logging.DEBUG),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "warning", "log_level", logging.WARNING),
        ("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv", "default_accept", "text/csv"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "100", "max_payload_bytes", 100 * 1024 * 1024),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "0", "max_payload_bytes", None),
        ("SAGEMAKER_BATCH", "True", "batch", True),
        ("SAGEMAKER_BATCH", "true", "max_payload_mb", 100),
        ("SAGEMAKER_BATCH", "TRUE", "timeout_s", 600.0),
        ("SAGEMAKER_BATCH", "false", "max_payload_mb", 25),
        ("SAGEMAKER_BATCH_STRATEGY", "SINGLE_RECORD", "batch_strategy", "SINGLE_RECORD"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "4", "max_concurrent_transforms", 4),
        ("MODEL_SERVER_BAD_RECORD", "ERROR", "bad_record", "ERROR"),
        ("MODEL_SERVER_BAD_RECORD", "off", "bad_record", None),
        ("MODEL_VERSION", "s3://b/m/1/", "model_version", "s3://b/m/1/"),
        ("MODEL_MANIFEST_SHA256", "AB" * 32, "manifest_sha256", "ab" * 32),
        ("MODEL_MANIFEST_REQUIRED", "1", "manifest_required", True),
        ("MODEL_SERVER_UNPICKLE", "true", "unpickle", True),
        ("MODEL_SERVER_TRUSTED_TYPES", "a.B, c.d.E", "trusted_types", ("a.B", "c.d.E")),
        ("OMP_NUM_THREADS", "3,1", "library_threads", 3),
    ],
)
def test_each_variable_sets_its_field(name, value, field, expected):
    assert getattr(settings_from({name: value}), field) == expected


def test_what_a_transform_job_says_itself_goes_before_what_it_would_be_given():
    said = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0", "MODEL_SERVER_TIMEOUT": "3600"}
    settings = settings_from(said)
    assert (settings.max_payload_bytes, settings.timeout_s) == (None, 3600.0)


def test_sagemakers_own_name_wins_over_the_short_one():
    assert settings_from({"MODEL_SERVER_WORKERS": "1", "SAGEMAKER_MODEL_SERVER_WORKERS": "2"}).workers == 2


def test_an_empty_variable_counts_as_unset():
    assert settings_from({"MODEL_SERVER_WORKERS": "  "}).workers is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAGEMAKER_BASE_DIR", "relative/path"),
        ("SAGEMAKER_PROGRAM", "../evil.py"),
        ("SAGEMAKER_PROGRAM", "no-module.py"),
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("SAGEMAKER_BIND_TO_PORT", "http"),
        ("MODEL_SERVER_WORKERS", "0"),
        ("MODEL_SERVER_TIMEOUT", "-1"),
        ("MODEL_SERVER_TIMEOUT", "nan"),
        ("MODEL_SERVER_PRELOAD", "perhaps"),
        ("SAGEMAKER_CONTAINER_LOG_LEVEL", "LOUD"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-5"),
        ("MODEL_MANIFEST_SHA256", "1234"),
        ("MODEL_SERVER_TRUSTED_TYPES", "all types"),
        ("OMP_NUM_THREADS", "0"),
        ("SAGEMAKER_BATCH", "maybe"),
        ("SAGEMAKER_BATCH_STRATEGY", "MANY"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "0"),
        ("MODEL_SERVER_BAD_RECORD", "two\nlines"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(name, value):
    with pytest.raises(SettingsError) as caught:
        settings_from({name: value})
    assert f"{name} is {value!r}" in str(caught.value)


def test_a_transform_job_and_many_models_are_refused_together():
    with pytest.raises(SettingsError, match="SAGEMAKER_BATCH and SAGEMAKER_MULTI_MODEL are both true"):
        settings_from({"SAGEMAKER_BATCH": "true", "SAGEMAKER_MULTI_MODEL": "true"})
