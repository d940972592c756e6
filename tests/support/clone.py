"""A copy of the checkout, to change and to run."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support import ROOT
from tests.support.mutations import product

_BESIDE_THE_PRODUCT = ("tests", "localstack", "docs", "stubs")


@dataclass(frozen=True)
class Clone:
    """Its folder. What is run there runs its code."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Clone":
        for name in (*product(ROOT), *_BESIDE_THE_PRODUCT):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy(ROOT / name, folder / name)
        return cls(folder)

    @property
    def environ(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def python(self, *arguments: str, text: str | None = None) -> str:
        """What it printed; `text` is its standard input. It has to exit with 0."""
        done = subprocess.run(  # noqa: S603 - our own arguments
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **self.environ},
            input=text,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
        return done.stdout

    def digests(self) -> dict[str, int]:
        """Each of its files, by what it says."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and ".takeaway" not in path.parts)
        return {str(path.relative_to(self.folder)): hash(path.read_bytes()) for path in files}

    def edit(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has {text.count(old)} times: {old}"
        (self.folder / path).write_text(text.replace(old, new), encoding="utf-8")
