"""Model versions side by side, and which of them nobody needs any more."""

from __future__ import annotations

from typing import Any

from classifier.model import load, read_manifest
from classifier.registry import Registry

_MADE_FROM = {
    "articles": "标注稿",
    "corpus": "数据摘要",
    "dictionary": "词典",
    "cleaning": "清洗规则",
    "gaoqian": "程序版本",
    "scikit_learn": "scikit-learn",
    "user_words": "本报词表",
    "recipe": "做法",
    "macro_f1": "宏 F1",
}


def compare_versions(registry: Registry, before: str, after: str) -> dict[str, Any]:
    """What two versions were made from, what they promise, and whose labels changed.

    Raises ModelRefused where one cannot be read.
    """
    from training.run import read_learned

    old, new = (read_manifest(registry.path(version)) for version in (before, after))
    changed = {
        shown: (old["training"].get(name), new["training"].get(name))
        for name, shown in _MADE_FROM.items()
        if old["training"].get(name) != new["training"].get(name)
    }
    sentences = [
        {theme["slug"]: theme["promise"]["sentence"] for theme in record["themes"]}
        for record in (old, new)
    ]
    slugs = dict.fromkeys((*sentences[0], *sentences[1]))
    learned = [
        read_learned(registry.path(version), load(registry.path(version)).manifest)
        for version in (before, after)
    ]
    labels = None
    if learned[0] is not None and learned[1] is not None:
        first, second = (
            {(one.article.title, one.article.text): one for one in corpus.articles}
            for corpus in (learned[0], learned[1])
        )
        labels = {
            "added": len(second.keys() - first.keys()),
            "removed": len(first.keys() - second.keys()),
            "relabelled": [
                {
                    "id": one.article.id,
                    "title": one.article.title,
                    "before": sorted(first[text].themes),
                    "after": sorted(one.themes),
                }
                for text, one in second.items()
                if text in first and first[text].themes != one.themes
            ],
        }
    return {
        "before": before,
        "after": after,
        "changed": changed,
        "themes": {
            slug: (sentences[0].get(slug), sentences[1].get(slug))
            for slug in slugs
            if sentences[0].get(slug) != sentences[1].get(slug)
        },
        "labels": labels,
    }


def superfluous(registry: Registry, *, keep: int) -> list[str]:
    """Versions beyond the newest `keep`, but for the one in service and the one before it."""
    current = registry.current_id()
    needed = {current}
    needed |= {str(one["from"]) for one in registry.history() if one["to"] == current}
    return [version.id for version in registry.versions()[keep:] if version.id not in needed]
