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


def model_folder(chosen: str | None) -> Path:
    """The folder of the current model, of a version by its id, or one named as a folder."""
    from classifier.model import MANIFEST
    from classifier.registry import Registry
    from service.settings import read_settings

    if chosen is not None and Path(chosen).is_dir():
        folder = Path(chosen)
        if (folder / MANIFEST).exists():
            return folder
        registry, chosen = Registry(folder), None
    else:
        registry = Registry(read_settings().models)
    return registry.path(chosen or registry.current_id())


def open_model(chosen: str | None) -> Classifier:
    """The model in `model_folder`, themes as they are called today where it is one of a registry.

    Raises ModelRefused with the cause.
    """
    from classifier.model import load
    from service.taxonomy import answering, read_taxonomy

    folder = model_folder(chosen)
    return answering(load(folder), read_taxonomy(folder.parent))
