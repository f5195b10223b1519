"""STS: the temporary credentials that moto hands out are let in like the instance's own."""

import re
from collections.abc import Callable

from byoc.local.outside import Ask, Detour
from byoc.local.wsgi import Answer, Call

_ISSUED = re.compile(rb"<AccessKeyId>(\w+)</AccessKeyId>")


def issuing(issue: Callable[[str], None]) -> Detour:
    """Return a detour that tells `issue` of each access key in STS's answers (AssumeRole and its like)."""

    def answer(call: Call, ask: Ask) -> Answer:
        answered = ask(call)
        for key in _ISSUED.findall(answered.body):
            issue(key.decode())
        return answered

    return answer
