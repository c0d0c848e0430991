"""Makes the checkout importable as ``ansible_collections.swarm.aws``, the name its modules run under."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for path in (ROOT / ".collections", ROOT):
    sys.path.insert(0, str(path))
