"""Files of every format that intake reads, made by hand, whole or malicious."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

SENTENCES = (
    "六月二十日清早，镇里的河长李长河带着网兜下了河，两个钟头捞起三十多斤垃圾。",
    "县行政审批服务局派出帮办员，陪着企业把立项、环评、施工许可一趟跑完。",
    "“八元一餐，两荤一素，行动不便的送到床头。”社区食堂管理员王秀兰说。",
    "老党员陈德福把儿子的茶叶店腾出半间，办起了流动党员学习点。",
    "总投资12.6亿元的新材料项目签约落户，预计2026年10月投产。",
    "雨水顺着新修的边沟流走，往年一到汛期就积水的巷子今年没有湿过鞋。",
    "本报讯（通讯员 赵敏 记者 孙磊）昨日，市民在公园里数到十七只白鹭。",
    "秸秆打捆离田以后，每亩地能多收入六十元，露天焚烧的火点降到零。",
    "医生一边量血压，一边提醒老人少吃咸菜，按时服药。",
    "园区里的标准厂房已经封顶，八家企业排着队等交房。",
)

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="rId1" Target="word/document.xml" Type="http://schemas.openxmlformats.org/'
    'officeDocument/2006/relationships/officeDocument"/></Relationships>'
)


def paragraph(text: str) -> str:
    """A paragraph of one run."""
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def document_xml(body: str, *, prolog: str = "") -> bytes:
    """The main part of a .docx."""
    namespaces = (
        f'xmlns:w="{WORD}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
        'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
    )
    markup = f"{prolog}<w:document {namespaces}><w:body>{body}</w:body></w:document>"
    return markup.encode()


def docx(
    document: bytes, *, others: Sequence[tuple[str, bytes]] = (), stored: bool = False
) -> bytes:
    """A .docx with this main part."""
    return archive(
        [("_rels/.rels", _RELATIONS.encode()), ("word/document.xml", document), *others],
        stored=stored,
    )


def archive(entries: Sequence[tuple[str, bytes]], *, stored: bool = False) -> bytes:
    """A zip file of these entries, the same bytes whenever it is made."""
    content = io.BytesIO()
    method = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(content, "w", method) as package:
        for name, part in entries:
            package.writestr(zipfile.ZipInfo(name), part, method)
    return content.getvalue()


def pdf(objects: Sequence[bytes], *, trailer: bytes = b"") -> bytes:
    """A PDF of numbered objects, the first of them its catalog."""
    content = b"%PDF-1.7\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    content += b"trailer\n<</Size %d/Root 1 0 R%s>>\n" % (len(objects) + 1, trailer)
    return content + b"startxref\n%d\n%%%%EOF\n" % table


def stream(content: bytes, entries: bytes = b"") -> bytes:
    """A stream object."""
    return b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(content), entries, content)


def pdf_of_pages(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF that shows these lines on its pages, in a font that is not embedded."""
    kids = b" ".join(b"%d 0 R" % (5 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(pages), kids),
        b"<</Type/Font/Subtype/Type0/BaseFont/STSong-Light/Encoding/UniGB-UTF16-H"
        b"/DescendantFonts[4 0 R]>>",
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/STSong-Light/DW 1000"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(GB1)/Supplement 4>>>>",
    ]
    for number, lines in enumerate(pages):
        shown = b"".join(
            b"BT /F1 12 Tf 1 0 0 1 50 %d Tm <%s> Tj ET\n"
            % (780 - 20 * row, line.encode("utf-16-be").hex().encode())
            for row, line in enumerate(lines)
        )
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (6 + 2 * number)
        )
        objects.append(stream(shown))
    return pdf(objects)


def mail(body: bytes, *headers: str) -> bytes:
    """A mail as it comes off the wire."""
    head = ["From: zhaomin@example.cn", "MIME-Version: 1.0", *headers]
    return "\r\n".join(head).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def multipart(*parts: bytes, kind: str = "mixed", boundary: str = "b1") -> bytes:
    """A part, headers and all, that holds other parts."""
    mark = boundary.encode()
    inner = b"".join(b"--" + mark + b"\r\n" + part + b"\r\n" for part in parts)
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    return head + inner + b"--" + mark + b"--\r\n"


def part(content: bytes, *headers: str) -> bytes:
    """A part of a mail."""
    return "".join(f"{header}\r\n" for header in headers).encode() + b"\r\n" + content
