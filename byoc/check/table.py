"""All rules in their order; `python -m byoc.check.table` writes the table of docs/check.md."""

from collections.abc import Sequence

from byoc.check.rule import Part, Rule
from byoc.check.rules import (
    batch,
    calls,
    confinement,
    credentials,
    crowds,
    dockerfile,
    ending,
    errors,
    image,
    life,
    logs,
    multi_model,
    payload,
    ping,
    programs,
    proxies,
    serverless,
    sigterm,
    starting,
    streaming,
    training,
)

_ALL: tuple[Rule, ...] = (
    *dockerfile.RULES,
    *image.RULES,
    *programs.RULES,
    *credentials.RULES,
    *training.RULES,
    *starting.RULES,
    *ping.RULES,
    *calls.RULES,
    *crowds.RULES,
    *payload.RULES,
    *errors.RULES,
    *life.RULES,
    *streaming.RULES,
    *sigterm.RULES,
    *ending.RULES,
    *confinement.RULES,
    *logs.RULES,
    *proxies.RULES,
    *batch.RULES,
    *multi_model.RULES,
    *serverless.RULES,
)
RULES = tuple(sorted(_ALL, key=lambda rule: list(Part).index(rule.part)))


def table(rules: Sequence[Rule] = RULES) -> str:
    """Return the rules as Markdown, one table a part."""
    lines: list[str] = []
    for part in Part:
        lines += [
            "",
            f"### {part.value}",
            "",
            "| rule | the container | why it matters | source |",
            "|---|---|---|---|",
        ]
        for rule in rules:
            if rule.part is part:
                slow = " (with `--all`)" if rule.slow else ""
                by = "Docker" if "docker.com" in rule.source else "AWS"
                source = f"[{by}]({rule.source})" if rule.source.startswith("http") else rule.source
                lines.append(f"| `{rule.id}`{slow} | {rule.says} | {rule.why} | {source} |")
    return "\n".join(lines[1:])


if __name__ == "__main__":
    print(table())
