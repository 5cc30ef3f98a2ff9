"""Options and arguments that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from classifier.model import Classifier

model_option = click.option(
    "--model", "chosen", metavar="编号|文件夹", help="用这个模型，而不是当前模型"
)


def open_model(chosen: str | None) -> Classifier:
    """The current model, a version by its id, or one in a folder of its own."""
    from classifier.model import MANIFEST, load
    from classifier.registry import Registry
    from service.settings import read_settings

    if chosen is not None and Path(chosen).is_dir():
        folder = Path(chosen)
        return load(folder) if (folder / MANIFEST).exists() else Registry(folder).load()
    return Registry(read_settings().models).load(chosen)
