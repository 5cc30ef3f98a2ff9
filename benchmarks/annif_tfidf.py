"""Annif's own tfidf backend on text cut into words; run by the Python of Annif's environment.

Reads one JSON object from standard input: `train` and `judge`, lists of texts whose words stand
apart by spaces, and `labels`, the theme numbers of each training text. Writes the scores of the
training texts and of those to judge. Annif wants other versions of what we use, so it lives in an
environment of its own (`python3 -m venv annif && annif/bin/pip install annif`), named by `--annif`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

PROJECT = """
[themes]
name=themes
language=zh
backend=tfidf
analyzer=simple(token_min_length=1)
vocab=themes
limit=100
"""


def main() -> None:
    """Train and judge once."""
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "projects.cfg").write_text(PROJECT, encoding="utf-8")
        count = 1 + max(theme for own in asked["labels"] for theme in own)
        uris = [f"http://example.org/{theme}" for theme in range(count)]
        terms = "".join(f"<{uri}>\ttheme {theme}\n" for theme, uri in enumerate(uris))
        (home / "themes.tsv").write_text(terms, encoding="utf-8")
        rows = [
            " ".join(text.split()) + "\t" + " ".join(f"<{uris[theme]}>" for theme in own) + "\n"
            for text, own in zip(asked["train"], asked["labels"], strict=True)
            if own
        ]
        (home / "train.tsv").write_text("".join(rows), encoding="utf-8")
        answers = _annif(home, uris, [*asked["train"], *asked["judge"]])
    learned = len(asked["train"])
    json.dump({"train": answers[:learned], "judge": answers[learned:]}, sys.stdout)


def _annif(home: Path, uris: list[str], texts: list[str]) -> list[list[float]]:
    os.chdir(home)
    import annif
    import annif.registry
    import nltk.data
    from annif.analyzer.analyzer import Analyzer
    from annif.corpus import Document, DocumentFileTSV
    from annif.vocab import VocabFileTSV

    # The text is cut already; Annif's own tokenizer would load data from the network.
    nltk.data.find = lambda *_: None
    Analyzer.tokenize_words = lambda _self, text, filter=True: text.split()
    app = annif.create_flask_app(config_name="annif.default_config.Config")
    with app.app_context():
        app.config.update(PROJECTS_CONFIG_PATH="projects.cfg", DATADIR=str(home))
        annif.registry.initialize_projects(app)
        project = annif.registry.get_project("themes")
        project.vocab.load_vocabulary(VocabFileTSV("themes.tsv", "zh"))
        project.train(DocumentFileTSV("train.tsv", project.subjects))
        found = []
        for text in texts:
            scores = [0.0] * len(uris)
            (suggestions,) = project.suggest([Document(text=text)])
            for one in suggestions:
                scores[uris.index(project.subjects[one.subject_id].uri)] = float(one.score)
            found.append(scores)
        return found


if __name__ == "__main__":
    main()
