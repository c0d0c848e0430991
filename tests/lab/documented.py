"""The commands that the documentation shows."""

from __future__ import annotations

import re

from .site import ROOT

# How a command begins. Files' contents may begin so, too, but then a colon follows.
BEGINNING = r"(ansible|ANSIBLE_|make |\S*python -m|tools/|aws |dig |curl |pip |eval |certbot )(?!\S*:\s)"


def commands() -> set[str]:
    """All commands in the pages' code, without their comments and prompts, each after what is exported above it."""
    found = set()
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        fenced, exported = False, ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("```"):
                fenced = not fenced
            elif fenced or line.startswith("    "):
                text = re.sub(r"\s+#.*", "", line.strip().removeprefix("$ "))
                if text.startswith("export "):
                    exported = f"{text}; "
                elif re.match(BEGINNING, text):
                    found.add(exported + text)
            elif line:
                exported = ""
    return found
