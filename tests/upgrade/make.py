"""What a shop has that ran version 0.1.0: its state and its policy, made by that version itself.

    bin/regulars run tests/upgrade/make.py FOLDER

FOLDER must be new, or hold what an earlier run of this left. The version's tree comes from the history of
this clone, and its demo day is run through its scheduler (6 to 10 minutes, more to install packages).
Then a model is pinned, one customer suppressed, another unsubscribes without the pipeline having heard of it
yet, and somebody adds a column, an index and views of their own; the demo's coupons are out. Left in FOLDER:
`tree`, `state` (a REGULARS_HOME whose servers are stopped) and `policy.yml`. `test_upgrade.py` takes FOLDER
from REGULARS_UPGRADE_FROM.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: The last commit of version 0.1.0.
COMMIT = "771298e"

LOCKS = ("requirements.txt", "requirements-dev.txt")

#: What people do between two days: two customers with a coupon out want no more; others help themselves.
BY_PEOPLE = """
INSERT INTO ops.suppressions (customer_id, channel, reason, recorded_at)
SELECT customer_id, 'all', 'complained', '2017-10-02' FROM marketing.coupon_triggers
WHERE status = 'sent' ORDER BY trigger_id LIMIT 1
ON CONFLICT DO NOTHING;
SELECT ops.record_delivery_event('left', 'unsubscribed', '2017-10-02 09:00+00', message => m.message_id)
FROM marketing.messages AS m JOIN marketing.coupon_triggers AS t USING (trigger_id)
WHERE t.status = 'sent' ORDER BY t.trigger_id OFFSET 1 LIMIT 1;
ALTER TABLE marketing.decisions ADD COLUMN IF NOT EXISTS our_note text DEFAULT 'ours';
CREATE INDEX IF NOT EXISTS our_values ON marketing.customer_segments (predicted_value DESC);
CREATE OR REPLACE VIEW marketing.our_vips AS
SELECT external_id, predicted_value FROM marketing.current_customer_segments WHERE segment = 'vip';
CREATE OR REPLACE VIEW marketing.our_offers AS
SELECT d.our_note, d.campaign, v.predicted_value
FROM marketing.decisions AS d JOIN marketing.our_vips AS v USING (external_id);
COMMENT ON VIEW marketing.our_vips IS 'for the weekly call';
"""


def main(arguments: list[str]) -> int:
    """Make everything in the folder."""
    if len(arguments) != 1:
        print("Expected the name of a folder: run tests/upgrade/make.py FOLDER.", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    # The server's own user, under root, has to pass through.
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    tree = folder / "tree"
    if not tree.exists():
        unpack(tree)
    shutil.copy(tree / "config" / "policy.yml", folder / "policy.yml")
    environment = {**os.environ, "REGULARS_HOME": str(folder / "state")}
    # This process runs inside the environment of another version.
    environment.pop("PYTHONPATH", None)
    environment["REGULARS_POLICY"] = str(folder / "policy.yml")

    def regulars(*command: str) -> None:
        subprocess.run([tree / "bin" / "regulars", *command], env=environment, check=True)

    regulars("demo", "--exit")
    pinned = subprocess.run(
        [tree / "bin" / "regulars", "psql", "-XAtc", "SELECT model_version FROM ml.models "
         "WHERE kind = 'value' AND is_champion ORDER BY anchor DESC LIMIT 1"],
        env=environment, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    regulars("models", "rollback", pinned, "--note", "we know this one")
    regulars("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.devnull, "-c", BY_PEOPLE)
    regulars("down")
    print(f"Made in {folder}: set REGULARS_UPGRADE_FROM to it.")
    return 0


def unpack(tree: Path) -> None:
    """The files of the version, with this tree's environment where both need the same packages."""
    known = subprocess.run(
        ["git", "-C", ROOT, "cat-file", "-e", f"{COMMIT}^{{commit}}"],
        check=False,
        capture_output=True,
    )
    if known.returncode != 0:
        sys.exit(
            f"Expected the commit {COMMIT} in the history of {ROOT}, found none: the clone is shallow or "
            "has no history; get it with `git fetch --unshallow`."
        )
    fresh = tree.with_name("tree.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    packed = subprocess.run(
        ["git", "-C", ROOT, "archive", COMMIT], check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", fresh], input=packed, check=True)
    if all((fresh / name).read_bytes() == (ROOT / name).read_bytes() for name in LOCKS):
        (fresh / ".venv").symlink_to(ROOT / ".venv")
    fresh.rename(tree)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
