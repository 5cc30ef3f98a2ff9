"""Tagging archives of any size on Dask: blocks out to workers, parts back in order, nothing twice.

One process reads the input as a stream and cuts it into blocks of records; workers tag blocks and
send back finished parts; the same process writes each part beside its place and moves it there.
A part that is there is done: started again, the run reads on and sends out only what is missing,
so the result equals one uninterrupted run. The model travels once to each worker. At most a few
blocks a worker are under way, so memory does not grow with the archive.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from classifier.article import Article, article_from_json, article_from_record
from classifier.errors import ExtraMissing, GaoqianError, InputRefused, UnreadableFile
from classifier.model import ARRAYS, MANIFEST, Classifier, check_article, load
from classifier.registry import replace_file

if TYPE_CHECKING:
    from distributed import Client

BLOCK = 2_000  # records
AHEAD = 3  # blocks under way for each worker
LONGEST_FIELD = 10_000_000  # characters of a CSV cell; what is longer is no archive of articles
PLAN, ERRORS = "plan.json", "errors.jsonl"
ENDINGS = (".jsonl", ".csv", ".parquet")

Tell = Callable[[str], None]
Record = tuple[str, dict[str, Any] | bytes]  # where it stands, and the record or its line


@dataclass(frozen=True, slots=True)
class ArchiveRun:
    """What a finished run did."""

    articles: int
    refused: int
    parts: int
    resumed: int  # parts that were there already
    seconds: float


@dataclass(frozen=True, slots=True)
class _Tagged:
    """One block as a worker sends it back: output lines, and refused records."""

    part: bytes
    errors: bytes
    articles: int
    refused: int


def find_inputs(patterns: Sequence[str]) -> list[Path]:
    """Files named by paths, folders and globs, in a fixed order.

    Raises UnreadableFile for a pattern that names nothing readable.
    """
    found: list[Path] = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            own = sorted(one for one in path.rglob("*") if one.is_file() and _kind(one))
        elif path.is_file():
            own = [path]
        else:
            own = sorted(_matching(pattern))
        if not own or not all(_kind(one) for one in own):
            raise UnreadableFile(
                "没有能读的文件", where=pattern, fix=f"请给出 {'、'.join(ENDINGS)} 文件（可加 .gz）"
            )
        found += own
    return list(dict.fromkeys(found))


def tag_archive(
    inputs: Sequence[Path],
    output: Path,
    *,
    model: Path,
    workers: int,
    cluster: str | None = None,
    tell: Tell = lambda _: None,
) -> ArchiveRun:
    """Tag every article of the inputs into `output`, a .jsonl or .parquet file, or a folder of parts.

    Records that cannot be tagged go to `errors.jsonl` beside it with their place and the reason.
    Raises InputRefused where `output` holds another run, ExtraMissing without Dask.
    """
    start = time.monotonic()
    parts = output if not output.suffix else output.with_name(output.name + ".parts")
    is_parquet = output.suffix == ".parquet"
    plan = _plan(inputs, model)
    _begin(parts, output, plan)
    if (parts / "done.json").is_file():
        totals = json.loads((parts / "done.json").read_text(encoding="utf-8"))
        return ArchiveRun(
            totals["articles"], totals["refused"], totals["parts"], totals["parts"], 0
        )
    reader = _Reader(inputs)
    resumed = articles = refused = number = 0
    with _client(cluster, workers) as client:
        _send_model(client, model)
        width = max(len(client.scheduler_info(n_workers=-1)["workers"]), workers) * AHEAD
        under_way: dict[Any, int] = {}
        from distributed import wait

        def collect(*, most: int) -> None:
            nonlocal articles, refused
            while len(under_way) > most:
                finished, _ = wait(list(under_way), return_when="FIRST_COMPLETED")
                for future in finished:
                    place = under_way.pop(future)
                    tagged = future.result()
                    _write_part(parts, place, tagged)
                    articles += tagged.articles
                    refused += tagged.refused
                tell(_progress(articles, reader, start))

        for number, block in enumerate(_blocks(reader.records()), 1):
            if _part(parts, number).is_file():
                resumed += 1
                continue
            # A lost worker's block is given to another; a block that kills three is an error.
            future = client.submit(_tag_block, block, plan["model"], pure=False, retries=2)
            under_way[future] = number
            collect(most=width - 1)
        collect(most=0)
    totals = _finish(parts, output, number, is_parquet=is_parquet)
    return ArchiveRun(
        totals["articles"], totals["refused"], number, resumed, time.monotonic() - start
    )


def _matching(pattern: str) -> Iterable[Path]:
    anchor = Path(pattern).anchor
    relative = pattern[len(anchor) :]
    return Path(anchor).glob(relative) if relative else ()


def _kind(path: Path) -> str | None:
    name = path.name.lower().removesuffix(".gz")
    return next((ending for ending in ENDINGS if name.endswith(ending)), None)


def _plan(inputs: Sequence[Path], model: Path) -> dict[str, Any]:
    """What must be the same when a run is taken up again."""
    manifest = json.loads((model / MANIFEST).read_text(encoding="utf-8"))
    return {
        "inputs": [[str(path), path.stat().st_size] for path in inputs],
        "model": manifest["id"],
        "manifest": manifest["digest"],
        "block": BLOCK,
    }


def _begin(parts: Path, output: Path, plan: dict[str, Any]) -> None:
    parts.mkdir(parents=True, exist_ok=True)
    path = parts / PLAN
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != plan:
            raise InputRefused(
                "这里有一次没做完的标注，但输入文件或模型与那次不同",
                where=str(parts),
                fix="请换一个输出位置，或删去它重新开始",
            )
        return
    if output.exists() and (output.is_file() or any(output.iterdir())):
        raise InputRefused("已有内容，不覆盖", where=str(output), fix="请换一个输出位置")
    replace_file(path, json.dumps(plan, ensure_ascii=False).encode())


class _Reader:
    """The records of all inputs as one stream, with how far it has come."""

    def __init__(self, inputs: Sequence[Path]) -> None:
        self._inputs = inputs
        self._sizes = [path.stat().st_size for path in inputs]
        self._before = 0
        self._stream: IO[bytes] | None = None

    @property
    def share(self) -> float:
        """How much of the input has been read, 0 to 1."""
        at = self._before + (self._stream.tell() if self._stream else 0)
        return at / max(sum(self._sizes), 1)

    def records(self) -> Iterator[Record]:
        """Every record with the file and line, or row, where it stands."""
        for path, size in zip(self._inputs, self._sizes, strict=True):
            with path.open("rb") as self._stream:
                stream: IO[bytes] = self._stream
                if path.suffix.lower() == ".gz":
                    stream = gzip.GzipFile(fileobj=self._stream)  # type: ignore[assignment]
                try:
                    yield from _RECORDS[str(_kind(path))](stream, str(path))
                except (OSError, EOFError, ValueError, csv.Error) as error:
                    raise UnreadableFile(
                        f"读到一半出错（{error}）", where=str(path), fix="请检查文件是否完整"
                    ) from None
            self._stream = None
            self._before += size


def _jsonl_records(stream: IO[bytes], name: str) -> Iterator[Record]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            yield f"{name}:{number}", line


def _csv_records(stream: IO[bytes], name: str) -> Iterator[Record]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    # Python's own limit is below our longest article and would end the run at the first such one.
    csv.field_size_limit(LONGEST_FIELD)
    try:
        for number, row in enumerate(csv.DictReader(text), 2):
            yield f"{name}:{number}", {key: value for key, value in row.items() if key}
    finally:
        text.detach()


def _parquet_records(stream: IO[bytes], name: str) -> Iterator[Record]:
    parquet = _import_parquet()
    source = parquet.ParquetFile(stream)
    columns = [one for one in ("id", "title", "text") if one in source.schema_arrow.names]
    number = 0
    for batch in source.iter_batches(batch_size=BLOCK, columns=columns):
        for row in batch.to_pylist():
            number += 1
            yield f"{name}:{number}", row


_RECORDS: dict[str, Callable[[IO[bytes], str], Iterator[Record]]] = {
    ".jsonl": _jsonl_records,
    ".csv": _csv_records,
    ".parquet": _parquet_records,
}


def _blocks(records: Iterable[Record]) -> Iterator[list[Record]]:
    stream = iter(records)
    while block := list(islice(stream, BLOCK)):
        yield block


_models: dict[str, Classifier] = {}  # of a worker process: by id, loaded once


def _receive_model(name: str, manifest: bytes, arrays: bytes) -> None:
    """Load a model on a worker from the bytes of its two files."""
    import tempfile

    if name not in _models:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, MANIFEST).write_bytes(manifest)
            Path(folder, ARRAYS).write_bytes(arrays)
            _models[name] = load(Path(folder))


def _send_model(client: Client, folder: Path) -> None:
    from distributed import WorkerPlugin

    manifest, arrays = (folder / MANIFEST).read_bytes(), (folder / ARRAYS).read_bytes()
    name = json.loads(manifest)["id"]

    class ModelOnWorker(WorkerPlugin):  # type: ignore[misc, unused-ignore]
        """Puts the model on every worker, also on one that joins or is restarted later."""

        def setup(self, worker: Any) -> None:
            _receive_model(name, manifest, arrays)

    client.register_plugin(ModelOnWorker(), name=f"gaoqian-{name}")


def _tag_block(block: list[Record], name: str) -> _Tagged:
    """Tag one block on a worker: a JSON line for each article, in order."""
    model = _models[name]
    articles: list[Article] = []
    errors: list[str] = []
    for where, record in block:
        try:
            if isinstance(record, bytes):
                article = article_from_json(record, where=where)
            else:
                article = article_from_record(record, where=where)
            check_article(article)
        except GaoqianError as error:
            errors.append(
                json.dumps({"where": where, "reason": str(error)}, ensure_ascii=False) + "\n"
            )
        else:
            articles.append(article)
    lines = [
        json.dumps(tagging.as_json(), ensure_ascii=False) + "\n"
        for tagging in model.tag_many(articles)
    ]
    return _Tagged("".join(lines).encode(), "".join(errors).encode(), len(articles), len(errors))


def _part(parts: Path, number: int) -> Path:
    return parts / f"part-{number:07d}.jsonl"


def _write_part(parts: Path, number: int, tagged: _Tagged) -> None:
    path = _part(parts, number)
    if tagged.errors:
        replace_file(path.with_suffix(".errors"), tagged.errors)
    replace_file(path, tagged.part)  # last: a part that is there is done


def _finish(parts: Path, output: Path, count: int, *, is_parquet: bool) -> dict[str, int]:
    """Join the parts in order; the parts go once the whole is in its place."""
    totals = {"articles": 0, "refused": 0, "parts": count}
    errors = output.with_name(output.name + "." + ERRORS) if output.suffix else parts / ERRORS
    unfinished = errors.with_name(errors.name + ".part")
    with unfinished.open("wb") as told:
        for number in range(1, count + 1):
            own = _part(parts, number).with_suffix(".errors")
            if own.is_file():
                content = own.read_bytes()
                totals["refused"] += content.count(b"\n")
                told.write(content)
    unfinished.replace(errors)
    for number in range(1, count + 1):
        with _part(parts, number).open("rb") as part:
            totals["articles"] += sum(1 for _ in part)
    if not output.suffix:
        replace_file(parts / "done.json", json.dumps(totals).encode())
        return totals
    whole = output.with_name(output.name + ".part")
    ordered = [_part(parts, number) for number in range(1, count + 1)]
    if is_parquet:
        _join_parquet(ordered, whole)
    else:
        with whole.open("wb") as stream:
            for path in ordered:
                with path.open("rb") as part:
                    shutil.copyfileobj(part, stream)
    whole.replace(output)
    shutil.rmtree(parts)
    return totals


def _join_parquet(ordered: Sequence[Path], whole: Path) -> None:
    parquet = _import_parquet()
    import pyarrow

    schema = pyarrow.schema(
        [
            ("id", pyarrow.string()),
            ("title", pyarrow.string()),
            ("themes", pyarrow.list_(pyarrow.string())),
            ("decision", pyarrow.string()),
            ("scores", pyarrow.map_(pyarrow.string(), pyarrow.float64())),
            ("coverage", pyarrow.float64()),
            ("model", pyarrow.string()),
        ]
    )
    with parquet.ParquetWriter(whole, schema) as writer:
        for path in ordered:
            rows = [json.loads(line) for line in path.read_bytes().splitlines()]
            for row in rows:
                row["scores"] = list(row["scores"].items())
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))


def _progress(articles: int, reader: _Reader, start: float) -> str:
    seconds = max(time.monotonic() - start, 1e-6)
    share = reader.share
    left = seconds * (1 - share) / share if share else 0.0
    return f"{articles} 篇，{articles / seconds:.0f} 篇/秒，已读 {share:.1%}，约剩 {left:.0f} 秒"


def _client(cluster: str | None, workers: int) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise ExtraMissing(
            "没有安装 Dask", where="gaoqian archive", fix="请运行 pip install 'gaoqian[dask]'"
        ) from None
    if cluster is not None:
        try:
            return Client(cluster, timeout=10)
        except (OSError, ValueError) as error:
            raise InputRefused(
                f"连不上 Dask 集群（{error}）", where=cluster, fix="请检查地址和网络"
            ) from None
    # A cluster of the client's own making ends with the client.
    return Client(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        silence_logs=50,
    )


def _import_parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise ExtraMissing(
            "没有安装 pyarrow，读写不了 Parquet", fix="请运行 pip install 'gaoqian[dask]'"
        ) from None
    return parquet
