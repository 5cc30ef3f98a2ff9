"""From bytes to documents: which reader reads what."""

from __future__ import annotations

from classifier.errors import EmptyArticle, InputRefused, TooLarge
from service.intake.document import Allowance, Document, Limits, compose
from service.intake.encoding import Decoded, decode, read_name
from service.intake.recognise import Kind, declared_charset, is_page, recognise

_MIB = 1024 * 1024


def read_document(
    content: bytes, *, name: str = "", charset: str | None = None, limits: Limits | None = None
) -> tuple[Document, ...]:
    """What a person would read in a file: one document, or a mail's body and its attachments.

    `name` is the file's name as sent, a hint and never a path; `charset` the encoding the sender
    declares, tried first but not trusted blindly. Raises InputRefused: EmptyArticle, TooLarge,
    UnknownEncoding or UnreadableFile, with the name of the file in `where`.

    >>> content = "　　六月二十日，河长在岸边清点垃圾。\\r\\n".encode("gb18030")
    >>> read_document(content, name="河长.txt")[0].text
    '　　六月二十日，河长在岸边清点垃圾。'
    """
    limits = limits or Limits()
    shown = read_name(name)
    try:
        refuse_size(content, limits)
        return _read(content, name=shown, charset=charset, allowance=Allowance(limits))
    except InputRefused as refusal:
        refusal.where = refusal.where or shown
        raise
    except (MemoryError, RecursionError) as error:
        raise out_of_memory(shown) from error


def read_plain(
    content: bytes, *, name: str = "", charset: str | None = None, limits: Limits | None = None
) -> Document | None:
    """The document of a plain text file; None for a file that needs one of the parsers.

    Raises what `read_document` raises.
    """
    limits = limits or Limits()
    shown = read_name(name)
    try:
        refuse_size(content, limits)
        if recognise(content, shown) is not Kind.TEXT:
            return None
        decoded = decode(content, declared=charset or declared_charset(content))
        if is_page(decoded.text, shown):
            return None
        return _plain(decoded, name=shown, allowance=Allowance(limits))
    except InputRefused as refusal:
        refusal.where = refusal.where or shown
        raise


def out_of_memory(shown: str) -> TooLarge:
    """The refusal of a file that needs more memory than there is."""
    return TooLarge("文件展开后超过内存上限", where=shown, fix="请只保留文字内容，另存后再投")


def refuse_size(content: bytes, limits: Limits) -> None:
    """Raise TooLarge or EmptyArticle for a file that need not be looked at."""
    if len(content) > limits.file_bytes:
        raise TooLarge(
            f"文件有 {len(content) / _MIB:.1f} MB，上限是 {limits.file_bytes / _MIB:g} MB",
            fix="请去掉图片或拆成几份再投",
        )
    if not content:
        raise EmptyArticle("文件是空的", fix="请重新发送原文件")


def _read(
    content: bytes, *, name: str, charset: str | None, allowance: Allowance
) -> tuple[Document, ...]:
    refuse_size(content, allowance.limits)
    # Imported where they are needed: a PDF's reader costs a mail nothing.
    match recognise(content, name):
        case Kind.DOCX:
            from service.intake import docx

            return (docx.read(content, name=name, allowance=allowance),)
        case Kind.PDF:
            from service.intake import pdf

            return (pdf.read(content, name=name, allowance=allowance),)
        case Kind.MAIL:
            from service.intake import mail

            return mail.read(
                content,
                name=name,
                charset=charset,
                allowance=allowance,
                read_attachment=_read,
            )
    decoded = decode(content, declared=charset or declared_charset(content))
    if is_page(decoded.text, name):
        from service.intake import webpage

        return (webpage.read(decoded, name=name, allowance=allowance),)
    return (_plain(decoded, name=name, allowance=allowance),)


def _plain(decoded: Decoded, *, name: str, allowance: Allowance) -> Document:
    allowance.write(len(decoded.text))
    document = compose(decoded.text, name=name, format="txt", warnings=decoded.warnings)
    if not document.text.strip():
        raise EmptyArticle("文件里没有文字", fix="请补上正文后重投")
    return document
