"""Claims about classifier.dateline."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier.credit import Mark
from classifier.dateline import closing_mark, mark_of, read_dateline

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=300)
WORDS = st.lists(
    st.sampled_from(
        (
            "本报", "微山", "讯", "（", "）", "(", ")", "记者", "通讯员", " ", "　", "王明", "李芳",
            "新华社", "2月3日", "电", "【", "】", "■", "摄", "责编", "：", "\n", "。", "县委宣传部",
            "作者系", "书记", "来源", "报道", "·", "本報訊", "近日，", "\ud800", "供稿", "文/图",
        )
    ),
    max_size=40,
).map("".join)  # fmt: skip

# text, place, byline, names, unit, agency
SHAPES = [
    ("本报微山讯(通讯员 葛一山)去年以来，", "微山", "通讯员 葛一山", "葛一山", None, "本报"),
    ("本报讯（记者王明通讯员李芳）近日，", None, "记者王明通讯员李芳", "王明 李芳", None, "本报"),
    ("本报讯（记者 王 明 通讯员 李 芳）近日", None, "记者 王 明 通讯员 李 芳", "王明 李芳", None,
     "本报"),
    ("（记者甄明 通讯员李芳）近日，县里开会。", None, "记者甄明 通讯员李芳", "甄明 李芳", None, None),
    ("齐鲁晚报·齐鲁壹点记者 王明 济宁报道\n近日", "济宁", "齐鲁晚报·齐鲁壹点记者 王明", "王明", None,
     "齐鲁晚报·齐鲁壹点"),
    ("济宁日报讯 近日，县里开会。", None, None, "", None, "济宁日报"),
    ("济宁日报微山讯（记者 王明）近日", "微山", "记者 王明", "王明", None, "济宁日报"),
    ("新华社北京2月3日电（记者 王明、李芳）据", "北京", "记者 王明、李芳", "王明 李芳", None, "新华社"),
    ("新华社2月3日电（记者王明）记者获悉，", None, "记者王明", "王明", None, "新华社"),
    ("据新华社济南2月3日电　春耕开始了。", "济南", None, "", None, "新华社"),
    ("中新网济南2月3日电 (记者 王某)春耕", "济南", "记者 王某", "王某", None, "中新网"),
    ("红网时刻新闻2月3日讯（通讯员 王明）近日", None, "通讯员 王明", "王明", None, "红网时刻新闻"),
    ("央视网消息：独居老人的三餐有了着落。", None, None, "", None, "央视网"),
    ("【本报讯】近日，县里开会。", None, None, "", None, "本报"),
    ("【甘谷讯】近日，县里开会。", "甘谷", None, "", None, None),
    ("本報訊（記者 陳大文）昨日，社區。", None, "記者 陳大文", "陳大文", None, "本報"),
    ("【本報記者陳大文台北報導】昨日，", "台北", "本報記者陳大文台北", "陳大文", None, "本報"),
    ("通讯员 王明 李芳 报道 近日，县里开会。", None, "通讯员 王明 李芳", "王明 李芳", None, None),
    ("本报讯 记者王明报道：近日，县里开会。", None, "记者王明", "王明", None, "本报"),
    ("本报讯(施轩)6月25日，镇里开会。", None, "施轩", "施轩", None, "本报"),
    ("县里修路。（王明 李芳）", None, "王明 李芳", "王明 李芳", None, None),
    ("县里修路。\n（记者 王明）", None, "记者 王明", "王明", None, None),
    ("县里修路。（王明）（下转第三版）", None, "王明", "王明", None, None),
    ("县里修路。（汶上县融媒体中心 张三）", None, "汶上县融媒体中心 张三", "张三", "汶上县融媒体中心",
     None),
    ("本报讯（通讯员 王明（县委宣传部））近日", None, "通讯员 王明", "王明", "县委宣传部", "本报"),
    ("■白建喜\n人勤春早。\n阔步向前。(作者系汶上县寅寺镇党委书记)", None, "白建喜", "白建喜",
     "汶上县寅寺镇党委", None),
    ("县里修路。\n（作者系正定县卫生院党支部书记 田淑琴）", None, "田淑琴", "田淑琴",
     "正定县卫生院党支部", None),
    ("县里修路。\n供稿：汶上县融媒体中心", None, "供稿：汶上县融媒体中心", "", "汶上县融媒体中心", None),
    ("县里修路。\n来源：新华社\n责任编辑：王明", None, None, "", None, "新华社"),
    ("2023-02-24 09:12  来源：济宁日报  作者：王明\n近日", None, "王明", "王明", None, "济宁日报"),
    ("志愿者清理河道。 ■通讯员 刘志尚 王程 摄", None, "通讯员 刘志尚 王程", "刘志尚 王程", None, None),
    ("志愿者清理河道。\n新华社记者  李  欣摄", None, "新华社记者  李  欣", "李欣", None, "新华社"),
    ("图为现场。（县融媒体中心供图）", None, "县融媒体中心", "", "县融媒体中心", None),
    ("本报记者 王明 文/图\n近日，", None, "本报记者 王明", "王明", None, "本报"),
    ("本报讯（记者 阿卜杜拉·买买提）近日", None, "记者 阿卜杜拉·买买提", "阿卜杜拉·买买提", None, "本报"),
    ("本报讯（记者 欧阳明 司马光）近日", None, "记者 欧阳明 司马光", "欧阳明 司马光", None, "本报"),
    ("本报汶上讯(通讯员 张霄\n燕 李秀明)清单", "汶上", "通讯员 张霄燕 李秀明", "张霄燕 李秀明", None,
     "本报"),
    ("县二中校长  王明\n立德树人。", None, "县二中校长  王明", "王明", None, None),
    ("路灯亮了，谢谢。\n城关镇 贺金枝", None, "城关镇 贺金枝", "贺金枝", "城关镇", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "byline", "names", "unit", "agency"), SHAPES, ids=[row[0] for row in SHAPES]
)
def test_each_shape_is_read(
    text: str, place: str | None, byline: str | None, names: str, unit: str | None,
    agency: str | None,
) -> None:  # fmt: skip
    """Place, byline, names and agency come out as printed; the office where one is named."""
    told = read_dateline(text)

    assert (told.place, told.byline, told.agency) == (place, byline, agency)
    assert told.names == tuple(names.split())
    if unit is not None:
        assert told.unit == unit


@pytest.mark.parametrize(
    "text",
    [
        "村里的路修好了（见图）。",
        "村里的路修好了（2023年）",
        "村里的路修好了。（完）",
        "记者从县里了解到，路修好了。",
        "本报记者近日从县供电公司了解到，路灯亮了。",
        "本报去年推出的短信通讯栏目很受欢迎。",
        "中国移动通讯事业发展很快。",
        "“宣传贴心”志愿服务。",
        "编辑：您好！\n我是一名老师。",
        "记者走基层\n近日，路修好了。",
        "基层党建·一线见闻\n近日，路修好了。",
        "",
    ],
)
def test_prose_is_no_byline(text: str) -> None:
    """Brackets, 记者 and 本报 in running text name nobody."""
    told = read_dateline(text)

    assert (told.byline, told.names, told.spans) == (None, (), ())


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("本报微山讯(通讯员 葛一山)路修好了。", ["本报微山讯(通讯员 葛一山)"]),
        ("路修好了。（王明）\n责编 李芳 校对 方正", ["（王明）\n责编 李芳 校对 方正"]),
        ("■程致远\n路修好了。(作者系县委书记)", ["■程致远", "(作者系县委书记)"]),
        ("记者 林阿玲\n路修好了。\n通讯员 邱海 摄", ["记者 林阿玲", "通讯员 邱海 摄"]),
        ("路修好了。（完）", []),
    ],
)
def test_spans_cover_the_credits_and_nothing_else(text: str, hidden: list[str]) -> None:
    """What cleaning leaves out is the dateline and the credits, brackets and marks included."""
    assert [text[start:end] for start, end in read_dateline(text).spans] == hidden


@given(st.one_of(ANY_TEXT, WORDS))
def test_any_text_is_read(text: str) -> None:
    """Nothing is raised; spans rise, do not overlap, lie within the text; names stand in it."""
    told = read_dateline(text)
    ends = [0, *(edge for span in told.spans for edge in span), len(text)]

    assert ends == sorted(ends)
    assert all(start < end for start, end in told.spans)
    assert all(name in "".join(text.split()) for name in told.names)
    assert mark_of(text) in {None, *Mark}
    assert closing_mark(text) in {None, *Mark}


@pytest.mark.parametrize(
    "piece", ["（", "记者", "本报", "新闻网", "日报社台", "·王", "\n", "王明 "]
)
def test_reading_does_not_grow_with_the_text(piece: str) -> None:
    """A text of a million characters costs what one of a thousand does."""

    def seconds(text: str) -> float:
        started = time.process_time()
        for _ in range(20):
            read_dateline(text)
        return time.process_time() - started

    short, long = piece * (1_000 // len(piece)), piece * (1_000_000 // len(piece))
    seconds(short)

    # A thousand times the text: what reads all of it is far beyond a hundred times the cost.
    cost = max(min(seconds(short) for _ in range(3)), 0.002)
    assert min(seconds(long) for _ in range(3)) < 100 * cost


@pytest.mark.parametrize(
    ("line", "mark"),
    [
        ("本报讯 近日，县里开会。", Mark.DATELINE),
        ("（通讯员 王明）近日，县里开会。", Mark.DATELINE),
        ("■白建喜", Mark.BYLINE),
        ("（记者 王明）", Mark.BYLINE),
        ("本报记者 王明 通讯员 李芳", Mark.BYLINE),
        ("通讯员 王明 摄", Mark.PHOTO),
        ("责编：王明 校对：李芳", Mark.EDITORS),
        ("来源：县融媒体中心", Mark.EDITORS),
        ("任城区 李芳", Mark.NAMES),
        ("（下转第三版）", Mark.TURNS),
        ("（上接第一版）到田里去。", Mark.RESUMES),
        ("上接、傍晚送，中午两荤两素。", None),
        ("■基层动态", None),
        ("统筹城乡发展 建设和谐家园", None),
        ("微山县西平镇 督查提质增效", None),
    ],
)
def test_a_line_is_marked_by_what_it_is(line: str, mark: Mark | None) -> None:
    """Lines of credit are told from headlines and prose."""
    assert mark_of(line) is mark


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("路修好了。（王明）", Mark.BYLINE),
        ("路修好了。□凤利(市民)", Mark.BYLINE),
        ("图为现场。 本报记者 王明 摄", Mark.PHOTO),
        ("图为现场。（图片由县委宣传部提供）", Mark.PHOTO),
        ("路修好了。（责任编辑：王明）", Mark.EDITORS),
        ("路修好了。（下转第二版）", Mark.TURNS),
        ("路修好了（见图）。", None),
    ],
)
def test_a_paragraph_closes_with_what_it_ends_in(text: str, mark: Mark | None) -> None:
    """The last words say whether the article, or only its picture, is signed off."""
    assert closing_mark(text) is mark
