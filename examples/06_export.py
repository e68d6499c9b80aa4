"""One file with network, thresholds and meta classifier, run by a process that has no PyTorch. 10 seconds.

python examples/06_export.py runs/examples     writes monitor.segood; needs the runs of 02 and 03
"""

import subprocess
import sys
from pathlib import Path

from segood.deployment.export import ExportOptions, export_run

WATCH = """
import sys
import segood

bundle, digest, image = sys.argv[1:]
monitor = segood.Monitor.load(bundle, sha256=digest)  # checked against the digest, tried on its own frame
found = monitor(image)
print(f"{len(found.objects)} unknown objects, {len(found.removed)} segments taken for false alarms")
for thing in found.objects:
    print(f"  box {thing.box}, real with probability {thing.probability:.2f}; {thing.reasons[0].words}")
print("torch was imported:", "torch" in sys.modules)
"""


def main(out: Path) -> None:
    done = export_run(out / "finetuned", out / "monitor.segood", ExportOptions(num_frames=4))
    print(f"{done.path}: {done.size / 1e6:.1f} MB, SHA-256 {done.sha256[:12]}…")
    print(f"against PyTorch: entropy within {done.parity.entropy_difference:.0e}")
    image = min((out / "world" / "lost_and_found" / "leftImg8bit" / "test").rglob("*.png"))
    arguments = [str(done.path), done.sha256, str(image)]
    watched = subprocess.run(
        [sys.executable, "-c", WATCH, *arguments], check=True, capture_output=True, text=True
    )
    print(watched.stdout, end="")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
