"""`bin/regulars policy check|preview`: whether the policy is valid, and who would gain or lose what."""

import sys
from collections.abc import Iterator
from pathlib import Path

from include import policy
from include.errors import RegularsError
from include.policy import Policy, PolicyError
from include.sources import file_mapping
from include.sources.files import dialect
from include.sources.gaps import gaps
from include.steps import activate

USAGE = """usage: regulars policy check [FILE]      say whether the policy is valid
       regulars policy preview [FILE]    say who would gain or lose what, against the decisions in force"""


def main(argv: list[str]) -> int:
    """`regulars policy check|preview`; the exit code is 0 when the policy is valid, 1 if not, 2 for usage."""
    if not argv or argv[0] not in ("check", "preview") or len(argv) > 2:
        sys.stderr.write(USAGE + "\n")
        return 2
    path = Path(argv[1]) if len(argv) > 1 else policy.default_path()
    try:
        found = policy.load(path)
    except PolicyError as error:
        sys.stderr.write("\n".join(error.problems) + "\n")
        return 1
    if argv[0] == "check":
        if found_faults := list(_mapping_faults(found)):
            sys.stderr.write("\n".join(found_faults) + "\n")
            return 1
        on = [campaign.name for campaign in found.campaigns if campaign.enabled]
        sys.stdout.write(
            f"{policy.shown(path)}: valid. {len(found.segments.named)} segments, "
            f"{len(found.offers)} offers, {len(on)} of {len(found.campaigns)} campaigns on "
            f"({', '.join(on) or 'none'}). Hash {found.hash}.\n"
        )
        sys.stdout.writelines(f"Warning: {sentence}\n" for sentence in gaps(found))
        return 0
    try:
        sys.stdout.write(activate.preview(found) + "\n")
    except RegularsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _mapping_faults(rules: Policy) -> Iterator[str]:
    """What is wrong with the mapping of files, where the shop delivers files."""
    if file_mapping.is_one(rules.shop.source):
        yield from dialect.faults(rules.shop.source)
