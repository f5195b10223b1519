"""Faults of what batch transform asks for."""

from faulty import Fault

_READS = '        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":\n'

FAULTS = [
    Fault(
        "execution-parameters",
        (("serve", '"MULTI_RECORD", "MaxPayloadInMB"', '"MultiRecord", "MaxPayloadInMB"'),),
        name="execution-parameters: the job's own word",
    ),
    Fault(
        "execution-parameters",
        (("serve", '"MaxPayloadInMB": 6', '"MaxPayloadInMB": 60'),),
        name="execution-parameters: more than 100 MB at once",
    ),
    Fault("chunked-request", (("serve", _READS, "        if False:\n"),)),
    Fault(
        "batch-environment",
        (
            (
                "serve",
                "MOST_BYTES = 100 * 1024 * 1024\n",
                'MOST_BYTES = 100 * 1024 * 1024\nint(os.environ.get("SAGEMAKER_BATCH", "0"))\n',
            ),
        ),
    ),
    Fault(
        "batch-records",
        (("serve", '    return "".join(f', "    return max(f"),),
    ),
]
