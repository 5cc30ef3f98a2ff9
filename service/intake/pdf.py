"""PDFs: the text layer, page by page."""

from __future__ import annotations

import re
import unicodedata
from io import BytesIO

from pypdf import (
    Configuration,
    PasswordType,
    PdfReader,
    apply_configuration,
    get_configuration,
)
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

from classifier.errors import InputRefused, TooLarge, UnreadableFile
from service.intake.document import Allowance, Document, Limits, compose

_AS_DOCX = "请用 WPS 或 Word 另存为 .docx 再投"

# Fonts without a proper table of characters give radicals for whole characters: ⼈ for 人. Unicode
# says which character each Kangxi radical is, but not so of the Simplified ones.
_RADICALS = {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x2F00, 0x2FD6)}
_RADICALS.update(
    zip(
        map(ord, "⺁⺠⺫⺬⺮⻁⻄⻅⻆⻉⻋⻓⻔⻘⻙⻚⻛⻜⻝⻢⻣⻤⻥⻦⻧⻨⻩⻬⻮⻰⻳"),
        "厂民目示竹虎西见角贝车长门青韦页风飞食马骨鬼鱼鸟卤麦黄齐齿龙龟",
        strict=True,
    )
)
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ue000-\uf8ff\ufffd]")


def read(content: bytes, *, name: str, allowance: Allowance) -> Document:
    """Read a PDF's text layer.

    Raises UnreadableFile for an encrypted, damaged or scanned PDF, and for one whose fonts do not
    say which characters they show; TooLarge for too many pages or too much inside.
    """
    with apply_configuration(_ceilings(allowance.limits)):
        try:
            pages, broken = _read_pages(content, allowance)
        except (InputRefused, MemoryError):
            raise
        except (FileNotDecryptedError, DependencyError) as error:
            raise UnreadableFile(
                "这份 PDF 加了密", fix="请取消密码，或另存为 .docx 再投"
            ) from error
        except LimitReachedError as error:
            raise TooLarge("这份 PDF 里的内容超过上限", fix=_AS_DOCX) from error
        # pypdf walks whatever graph of objects a file describes and fails in as many ways.
        except Exception as error:
            raise UnreadableFile("这份 PDF 已损坏", fix=_AS_DOCX) from error

    blank = [number for number, page in enumerate(pages, 1) if not page.strip()]
    if len(broken) == len(pages):
        raise UnreadableFile("这份 PDF 已损坏", fix=_AS_DOCX)
    if len(blank) == len(pages):
        raise UnreadableFile(
            "这份 PDF 是扫描件或图片，里面没有文字", fix="请投文字稿，或用 OCR 软件识别后再投"
        )
    text = "\n".join(pages).translate(_RADICALS)
    if len(_NOT_TEXT.findall(text)) > len(text) / 4:
        raise UnreadableFile("这份 PDF 的字体没有文字对照表，读出来是乱码", fix=_AS_DOCX)
    warnings = []
    if broken:
        warnings.append(f"第 {_listed(broken)} 页已损坏，没有读")
    if unread := [number for number in blank if number not in broken]:
        warnings.append(f"第 {_listed(unread)} 页没有文字，可能是图片")
    return compose(text, name=name, format="pdf", warnings=tuple(warnings))


def _read_pages(content: bytes, allowance: Allowance) -> tuple[list[str], list[int]]:
    """The text of each page, and the numbers of the pages that could not be read."""
    reader = PdfReader(BytesIO(content))
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise FileNotDecryptedError
    count = len(reader.pages)
    if count > allowance.limits.pages:
        raise TooLarge(
            f"这份 PDF 有 {count} 页，上限是 {allowance.limits.pages} 页", fix="请拆成几份再投"
        )
    pages, broken = [], []
    for number, page in enumerate(reader.pages, 1):
        try:
            text = page.extract_text()
        except (LimitReachedError, MemoryError, FileNotDecryptedError, DependencyError):
            raise
        except Exception:
            # One page in a hundred with a bad font should not cost the other ninety-nine.
            broken.append(number)
            text = ""
        allowance.write(len(text))
        pages.append(text.strip("\n"))
    return pages, broken


def _ceilings(limits: Limits) -> Configuration:
    """pypdf's own limits, drawn in to what a newspaper needs."""
    size = limits.unpacked_bytes
    return get_configuration().with_overwrites(
        maximum_declared_stream_length=size,
        array_based_stream_maximum_output_length=size,
        lzw_maximum_output_length=size,
        run_length_maximum_output_length=size,
        zlib_maximum_output_length=size,
        brotli_maximum_output_length=size,
        stream_decoding_work_maximum_length=2 * size,
        page_tree_maximum_entries=10 * limits.pages,
        page_tree_maximum_page_entries=100 * limits.pages,
    )


def _listed(numbers: list[int]) -> str:
    shown = "、".join(str(number) for number in numbers[:10])
    return shown if len(numbers) <= 10 else f"{shown} 等 {len(numbers)}"
