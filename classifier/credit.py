"""What one credit line says: who wrote, who took the picture, who edited, and for whom.

A credit is understood or it is not: 通讯员 王明 李芳 摄 is a role, two names and a verb, and as
soon as a word is none of these the line is prose. Nothing looks at more than MAX_CREDIT characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import numpy as np

MAX_CREDIT = 90  # characters; a longer one is prose

Span = tuple[int, int]

HAN = r"\u3400-\u9fff"


def _words(listing: str) -> frozenset[str]:
    return frozenset(listing.split())


# Only the characters of surnames, roles and places: enough to read a credit, not a converter.
_TRADITIONAL = (
    "記记訊讯電电報报員员攝摄圖图編编輯辑對对專专聞闻網网臺台聯联實实習习約约體体責责審审來来讀读評评論论縣县鎮镇鄉乡區区黨党書书轉转寫写繪绘製制單单係系為为劉刘張张陳陈楊杨趙赵黃黄"
    "吳吴孫孙馬马許许鄭郑謝谢韓韩馮冯葉叶蔣蒋閻阎鐘钟鍾钟盧卢羅罗蘇苏魯鲁賈贾齊齐嚴严龔龚萬万錢钱湯汤賴赖龍龙陸陆鄒邹韋韦譚谭顧顾賀贺喬乔龐庞蘭兰顏颜溫温蘆芦畢毕聶聂叢丛莊庄塗涂時时"
    "關关費费紀纪歐欧項项陽阳衛卫鮑鲍寧宁閔闵強强華华車车邊边饒饶晉晋鄔邬暢畅宮宫簡简婁娄蓋盖談谈連连欒栾竇窦遲迟計计藍蓝雙双諸诸銀银學学園园處处廠厂鐵铁發发廳厅會会隊队場场視视廣广"
    "號号頻频導导監监總总執执覽览農农務务問问採采訪访詠咏"
)
_WIDE = "".join(chr(0xFF01 + i) + chr(0x21 + i) for i in range(94))
_ALIKE = "\u3000 \u00a0 【[】]\u3014[\u3015]「“」”『“』”•·・·‧·｡。丨|●■□■◆■◇■▲■△■★■☆■◎■○■▪■◤■►■▶■※■"
_FOLDS = _TRADITIONAL + _WIDE + _ALIKE
_FOLD = np.arange(0x10000, dtype=np.uint32)
_FOLD[[ord(one) for one in _FOLDS[::2]]] = [ord(same) for same in _FOLDS[1::2]]

_SURNAMES = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷"
    "钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛伍韦申尤毕聂丛焦向柳邢路岳齐梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋"
    "甘景薄单包司柏宁柯阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫苟全褚廉简娄盖符奚木穆党燕郎邸冀谈姬屠连郜晏栾郁商蒙计喻揭窦迟宇敖糜鄢冷卓花仇蓝双狄仝乌巴闫肖代付佟佘"
    "佀侣兀冼初卞危历厉艾吾麦原虞敬应农冒凤和巩平庆逄逯崇尚尉居尧岑帅幸库延弓彦戎扈折昝明智暴朴束杭晁桑楚楼檀毋水汝沃沙沐满潜濮焉爱牧狐独璩甫画眭矫祖禹禾种竹筱粟索綦缪羊翦耶肇胥胶舍"
    "良芮苍茅茹荀荆荣荫莘莱菅营萨葆蒯蒲蓟蔺藏蔚虎衡袭訾诸谌谯豆贝贡贲赏赫辕那邝邰邴郏郗郦鄂鉴银锁闻阙阚隗雍霞青靖鞠韶顿须颛飞骆鱼鲜鸡麻黑云慕嵇仉勾郄亓"
)
_DOUBLE_SURNAMES = _words(
    "欧阳 上官 司马 诸葛 司徒 东方 独孤 南宫 夏侯 皇甫 尉迟 公孙 慕容 令狐 轩辕 宇文 长孙 司空 端木 百里 呼延 东郭 南门 淳于 单于 太史 申屠 公羊 澹台 "
    "濮阳 赫连 钟离 闻人 完颜 拓跋 呼兰 爱新 乌雅 那拉 东野"
)
# Characters that write Uyghur, Kazakh, Mongolian and Tibetan names by their sound.
_SOUNDS = frozenset(
    "阿艾买麦提江木沙吐尔逊依力哈热孜克古丽娜迪亚巴再努帕夏米吉玛赛肉玉苏甫尼牙加托乎卡斯别叶肯才旺扎西多杰卓玛索南次仁央宗格桑达娃巴特乌云其木日勒图雅那仁苏布德额尔登朝鲁合"
)
# Words that begin like a name and stand alone in brackets or on a line.
_NOT_PERSONS = _words(
    "方言 图片 资料 金额 高新 全文 成语 水平 方法 方案 方面 黄色 白色 全国 双语 宁夏 江苏 安徽 云南 贵州 甘肃 广西 上海 万元 单位 项目 平方米 和讯 周一 "
    "周二 周三 周四 周五 周六 周日 高清 时代 简称 时间 常态化 安全 文明 文化 文件 文章 金融 农村 农业 农民 农历 全市 全县 全省 全区 全镇 全部 全体 全程 "
    "成立 成功 成果 关于 关注 应当 路上 路线 高度 高温 平均 平台 和谐 明天 明年 明确 益民 生活 生态 展示 展开 延伸 权威 步骤 水库 满意 种植 良好 采访 "
    "采写 达到 过去 过程 首次 黑龙江 幸福 明星 平安 公益 连线 连载 连日 时评 简讯 简报 安排 何处 何时 任务 任何 车辆 车站 房屋 古树 向阳 马上 高兴 万一 "
    "万众 石油 方便 双方 花卉 苗木 牧区 沙漠 武术 古城 关爱 尚未 尤其 查看 计划 年初 年底 年终 位于 原来 原因 居民 居家 包括 边疆 成本 党员 党建 党委 "
    "党课 党日 商务 商会 水利 水质 近日 日前 昨日 昨天 今天 今日 今年 去年 目前 当前 当日 连日来 近年来 近期 眼下 时下 截至"
)
_OFFICE = (
    r"(?:[县市区镇乡村局委办院校厅处科]|街道|公司|中心|社区|集团|银行|支行|大学|中学|小学|政府|"
    r"分局|支队|大队)"
)
_OFFICE_END = re.compile(rf"{_OFFICE}$")
_UNIT_END = re.compile(
    rf"(?:{_OFFICE}|[部会队台园社联所站馆厂网段库组路街巷苑屯旗州]|支部|党支部|机关|报社|工作室)$"
)

_POST = (
    r"(?:(?:常务|执行)?副?(?:书记|[市县区镇乡村厅局处科院校部队站所社会]长|主任|主席|经理|董事长|总裁|"
    r"调研员|(?:政协|组织|宣传|纪检)?委员|人大代表|教授|研究员|讲师|教师|院士|律师|医师|法官|检察官|干部|成员|委员|负责人)|"
    r"记者|编辑|工作人员|居民|村民|学生)"
)
_POST_END = re.compile(rf"{_POST}+$")

OUTLET = (
    r"(?:日报|晚报|早报|晨报|商报|时报|导报|快报|周报|都市报|[报社网台]|在线|新闻|客户端|全媒体?|"
    r"融媒体?(?:中心)?|新媒体|壹点|时刻|视讯|发布|周刊|杂志|传媒|电视台|广播|频道|平台|热线)"
)
_OUTLET_END = re.compile(rf"{OUTLET}$")
_EMPLOYER = rf"(?:本[报台网刊社]|[{HAN}A-Za-z0-9·“”]{{1,16}}?{OUTLET}{{1,3}})"
_RANK = r"(?:特约|特派|见习|实习|首席|资深|高级|全媒体|融媒体?|新媒体|校园|学生|青年|小)"
_TRADE = r"记 ?者|通 ?讯 ?员|报道员|评论员|特派员|实习生"
ROLE = re.compile(
    rf"(?:(?P<agency>{_EMPLOYER})\s?)?(?:驻[{HAN}]{{1,4}}?)?{_RANK}{{0,3}}"
    rf"(?:{_TRADE}|[撰供来投]稿人?|作 ?者|撰文|采写|笔者|口述|讲述)(?:[/和及]?(?:记者|通讯员))?"
)
HAS_ROLE = re.compile(rf"{_TRADE}|供稿|撰稿")
_ROLE_INSIDE = re.compile(
    rf"(?:本[报台网刊社])?(?:特约|特派|见习|实习|首席|全媒体|融媒体?)*(?:{_TRADE}|[供撰]稿|作者)"
)
_REPORT = r"(?:(?:综合|摄影)?报[道导]|专电|专讯|采访)"
_ENDS_WORD = r"(?=$|[\s/、,;:|)])"
_VERBS = (  # what was done, whether it credits the picture, whether it credits the words
    (re.compile(rf"(?:文[/、·+和]?图|图[/、·+和]?文|文字|文案){_ENDS_WORD}"), True, True),
    (re.compile(rf"(?:摄影|航拍|拍摄|供图|图片|翻拍|摄|图){_ENDS_WORD}"), True, False),
    (re.compile(rf"(?:{_REPORT}|整理|答复?|解答|绘|文){_ENDS_WORD}"), False, True),
)
_TRAILING_VERB = re.compile(rf"(?:{_REPORT}|摄影|供图|摄)$")
_REPORTED = re.compile(rf"{_REPORT}$")
_REPORTS_FROM = re.compile(rf"(?P<place>[{HAN}]{{2,6}}?)?{_REPORT}(?=$|[\s:,。)\]])")
_PICTURES_BY = re.compile(r"(?:本文|本版|题)?(?:图片|照片|题图)均?[由为].{1,30}(?:提供|供图|摄)")
_NOBODY = frozenset(("受访者", "读者", "网友", "资料", "图片", "照片", "单位"))
_CONTACT = re.compile(r"(?:联系)?(?:电话|手机|方式|电邮|邮箱|QQ|微信)")
_SEPARATORS = " \t\n\r/、,;:|·&+—-[]"
_DOTTED = re.compile(rf"[{HAN}]{{1,7}}(?:·[{HAN}]{{1,7}}){{1,3}}")
_HAN_RUN = re.compile(rf"[{HAN}]+")

_EDITOR_LABEL = re.compile(
    r"(?:本版|本期|值班|执行|责任|文字|图文|网络|见习|实习|美术)?"
    r"(?:责编|责任编辑|编辑|美编|[校编]审|校对|[复初终]审|审[核校读]|总?监制|统筹|策划|制图|制作|"
    r"[组排]版|版式|主任|编委|总编|总值班|编校|签发)\s{0,4}[:/|]?"
)
_SOURCE = re.compile(
    r"(?:(?:稿件|信息)?来源|稿源|原载|转自|(?:供稿|作者|投稿|报送)单位)\s?[:/|]\s?"
)
_TAKEN_FROM = re.compile(r"(?:据|综合|本文据).{2,20}(?:电|报[道导]|消息|整理|网站)")
_FIELD = re.compile(r"(?P<label>来源|稿源|作者|记者|通讯员)\s?:\s?(?P<value>[^\s:|]+)")
_STAMP = re.compile(
    r"(?:(?:发布|发表|更新)?(?:时间|日期)\s?:\s?)?\d{4}[-./年]\d{1,2}[-./月]\d{1,2}"
)
_AUTHOR_IS = re.compile(r"作者\s?(?:单位)?\s?(?:系|为|是|单位)\s?:?\s?")
_RESUMES = re.compile(r"[(\[]?\s?紧?(?:上接|接第)\s?[^()\[\]。,]{0,8}版[^()\[\]。,]{0,8}[)\]]?")
_TURNS = re.compile(r"[(\[]?\s?(?:紧?下转|转第|未完|续完|待续)[^()\[\]]{0,12}[)\]]?|[(\[]完[)\]]")

BULLET = "■"


class Mark(Enum):
    """What a line of a page says about an article's origin."""

    DATELINE = "dateline"  # opens with 本报微山讯, （记者 王明）…; the body may follow
    BYLINE = "byline"  # nothing but who wrote it
    PHOTO = "photo"  # nothing but who took the picture
    EDITORS = "editors"  # 责编, 校对, 审核, 来源: those who handled it
    NAMES = "names"  # nothing but persons, or an office and a person
    TURNS = "turns"  # （下转第3版）, （完）: here the article leaves the page
    RESUMES = "resumes"  # opens with （上接第1版）: an article that began elsewhere


class Credit(NamedTuple):
    """One dateline or credit; offsets are those of the folded text it was read from."""

    mark: Mark
    start: int
    end: int
    byline: Span | None = None
    names: tuple[Span, ...] = ()
    unit: Span | None = None
    agency: Span | None = None
    place: Span | None = None
    explicit: bool = True  # a role, a mark or a verb says so, not only the names

    def mapped(self, where: Callable[[Span], Span]) -> Credit:
        """The same credit in another text, `where` saying where its stretches stand there."""

        def there(span: Span | None) -> Span | None:
            return where(span) if span else None

        start, end = where((self.start, self.end))
        return self._replace(
            start=start,
            end=end,
            byline=there(self.byline),
            names=tuple(where(name) for name in self.names),
            unit=there(self.unit),
            agency=there(self.agency),
            place=there(self.place),
        )


def fold(text: str) -> str:
    """Make width, brackets, bullets and the characters of credits alike, one for one.

    No credit holds a character beyond the basic plane; each becomes U+FFFF.

    >>> fold("（記者　陳大文）")
    '(记者 陈大文)'
    """
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    # Five times as fast as str.translate, which looks up each character by itself.
    return _FOLD.take(points, mode="clip").tobytes().decode("utf-32-le", "surrogatepass")


def is_office(word: str, *, surely: bool = False) -> bool:
    """Whether a folded word ends like an office or a place; `surely` leaves out 部, 会, 队 …."""
    pattern = _OFFICE_END if surely else _UNIT_END
    return len(word) >= 3 and pattern.search(word) is not None


def is_person(word: str) -> bool:
    """Whether a folded word has the shape of a Chinese personal name with a known surname.

    >>> [is_person(word) for word in ("欧阳明", "王明", "王家村", "方法")]
    [True, True, False, False]
    """
    if word in _NOT_PERSONS or _OFFICE_END.search(word):
        return False
    if word[:2] in _DOUBLE_SURNAMES:
        return 3 <= len(word) <= 4
    return word[:1] in _SURNAMES and len(word) in (2, 3)


def name_lengths(run: str) -> list[int]:
    """Lengths of the names printed without a space in `run`; empty where it is no such run.

    >>> name_lengths("王明李小芳")
    [2, 3]
    """
    if len(run) <= 3 or run[:2] in _DOUBLE_SURNAMES:
        return [len(run)] if is_person(run) else []
    for cut in (2, 3):
        rest = run[cut:]
        if is_person(run[:cut]) and 2 <= len(rest) <= 7 and (others := name_lengths(rest)):
            return [cut, *others]
    return []


def labelled_credit(text: str, pos: int, end: int | None = None) -> Credit | None:
    """A line or bracket that says outright what it is: 责编 …, 来源：…, 作者系 …."""
    end = len(text) if end is None else end
    if end - pos > MAX_CREDIT:
        return None
    if _TURNS.fullmatch(text, pos, end):
        return Credit(Mark.TURNS, pos, end)
    if _STAMP.match(text, pos, end) and (fields := list(_FIELD.finditer(text, pos, end))):
        return _stamp(pos, end, fields)
    start = skip_blank(text, pos, end, also=BULLET + "(|")
    stop = len(text[:end].rstrip(" \n\t)]。"))
    if (match := _SOURCE.match(text, start, end)) is not None:
        source = (match.end(), stop) if match.end() < stop else None
        if _OUTLET_END.search(text, match.end(), stop):
            return Credit(Mark.EDITORS, pos, end, agency=source)
        return Credit(Mark.EDITORS, pos, end, unit=source)
    if _TAKEN_FROM.fullmatch(text, start, stop):
        return Credit(Mark.EDITORS, pos, end)
    if _PICTURES_BY.fullmatch(text, start, stop):
        return Credit(Mark.PHOTO, pos, end)
    if (match := _AUTHOR_IS.match(text, start, end)) is not None:
        return _author_is(text, pos, end, (match.end(), stop))
    if (match := _EDITOR_LABEL.match(text, start, end)) is not None:
        rest = text[match.end() : stop]
        name = _HAN_RUN.match(rest.lstrip())
        if "!" in rest or "?" in rest:  # 编辑：您好！
            return None
        if match[0][-1] in ":/|" or (name and (is_person(name[0]) or len(name[0]) == 1)):
            return Credit(Mark.EDITORS, pos, end)
    return None


def _stamp(start: int, end: int, fields: list[re.Match[str]]) -> Credit:
    """The line a website sets under a headline: 2023-02-24 09:12 来源：临河日报 作者：王明."""
    sources = [field.span("value") for field in fields if field["label"].endswith("源")]
    authors = [field.span("value") for field in fields if not field["label"].endswith("源")]
    return Credit(
        Mark.BYLINE if authors else Mark.EDITORS,
        start,
        end,
        byline=(authors[0][0], authors[-1][1]) if authors else None,
        names=tuple(authors),
        agency=sources[0] if sources else None,
    )


def _author_is(text: str, start: int, end: int, told: Span) -> Credit:
    """作者系县委宣传部干部 王明: the office without the post, and the name where there is one."""
    unit_end = told[1]
    word = text.rfind(" ", *told) + 1
    named = told[0] < word and is_person(text[word : told[1]])
    if named:
        unit_end = len(text[:word].rstrip())
    post = _POST_END.search(text, told[0], unit_end)
    unit = (told[0], post.start() if post else unit_end)
    name = (word, told[1])
    return Credit(
        Mark.BYLINE,
        start,
        end,
        byline=name if named else None,
        names=(name,) if named else (),
        unit=unit if unit[0] < unit[1] else None,
    )


def resumes(text: str, pos: int) -> Credit | None:
    """The note （上接第1版） that starts at `pos`."""
    note = _RESUMES.match(text, pos)
    return Credit(Mark.RESUMES, *note.span()) if note is not None else None


def running_credit(text: str, pos: int) -> Credit | None:
    """A credit that runs straight into the body: 通讯员 王明 李芳 报道 近日…."""
    start = skip_blank(text, pos, also=BULLET)
    names: list[Span] = []
    agency: Span | None = None
    end = cursor = start
    while (role := ROLE.match(text, cursor)) is not None:
        agency = agency or (role.span("agency") if role["agency"] else None)
        cursor = skip_blank(text, role.end(), also=":、")
        while (run := _HAN_RUN.match(text, cursor)) is not None:
            reported = _REPORTED.search(run[0])
            name_end = run.start() + reported.start() if reported else run.end()
            if not is_person(text[cursor:name_end]):
                break
            names.append((cursor, name_end))
            end = run.end()
            cursor = skip_blank(text, end, also="、")
            if reported:
                break
    if not names:
        return None
    byline = (start, names[-1][1])
    place: Span | None = None
    if (reports := _REPORTS_FROM.match(text, cursor)) is not None:
        place, end = (reports.span("place") if reports["place"] else None), reports.end()
    elif end == byline[1] and text[end : end + 1] not in " \n:" and text[start] != BULLET:
        return None
    end += text[end : end + 1] == ":"
    return Credit(Mark.BYLINE, pos, end, byline, tuple(names), agency=agency, place=place)


def bracketed_credit(text: str, start: int, end: int) -> Credit | None:
    """The credit in the bracket text[start:end], its offsets those of the whole bracket."""
    inner = text[start + 1 : end - 1]
    if "\n" not in inner:
        found = labelled_credit(text, start + 1, end - 1) or read_credit(
            text, start + 1, end - 1, enclosed=True
        )
    else:
        # A hard line end may stand anywhere in it, also within a name.
        kept = [pos for pos in range(start + 1, end - 1) if text[pos] != "\n"]
        flat = inner.replace("\n", "")
        found = labelled_credit(flat, 0) or read_credit(flat, 0, len(flat), enclosed=True)
        if found is not None:
            found = found.mapped(lambda span: (kept[span[0]], kept[span[1] - 1] + 1))
    return found._replace(start=start, end=end) if found is not None else None


def read_credit(text: str, start: int, end: int, *, enclosed: bool = False) -> Credit | None:
    """Read text[start:end] as one credit, if every word of it is understood.

    `enclosed` says that it stands in brackets, where a word glued to 记者 can only be a name.
    """
    if end - start > MAX_CREDIT:
        return None
    return _CreditReader(text, start, end, sure=enclosed).read()


class _CreditReader:
    """Reads roles, names, offices and verbs in turn; gives up at the first other word."""

    def __init__(self, text: str, start: int, end: int, *, sure: bool) -> None:
        self.sure = sure
        self.doubtful = False  # 记者 with a word glued to it that is no known name: 记者走基层
        self.text, self.start, self.end = text, start, end
        self.names: list[Span] = []
        self.unit: Span | None = None
        self.agency: Span | None = None
        self.place: Span | None = None
        self.letter: int | None = None  # where the first half of a name printed apart is: 王 明
        self.explicit = self.said = self.photo = self.words = self.reported = False
        self.printed: list[Span] = []

    def read(self) -> Credit | None:
        """The credit, or None when something in the stretch is not part of one."""
        pos = self.start
        while pos < self.end:
            char = self.text[pos]
            if char in _SEPARATORS:
                pos += 1
            elif char == BULLET:
                self.explicit = self.sure = True
                pos += 1
            else:
                step = self._bracket(pos) if char == "(" else self._word(pos)
                if step is None:
                    return None
                pos = step
        if self.letter is not None or not (self.printed and (self.said or self.names)):
            return None
        if self.doubtful and not (self.sure or self.photo):
            return None
        mark = Mark.PHOTO if self.photo and not self.words else Mark.BYLINE
        anonymous = mark is Mark.PHOTO and not (self.names or self.unit)
        byline = None if anonymous else (self.printed[0][0], self.printed[-1][1])
        return Credit(
            mark, self.start, self.end, byline, tuple(self.names),
            self.unit, self.agency, self.place, self.explicit,
        )  # fmt: skip

    def _bracket(self, pos: int) -> int | None:
        close = self.text.find(")", pos, min(self.end, pos + 32))
        if close < 0:
            return None
        if is_office(self.text[pos + 1 : close]):
            self.unit = self.unit or (pos + 1, close)
        return close + 1

    def _word(self, pos: int) -> int | None:
        text, end = self.text, self.end
        if (role := ROLE.match(text, pos, end)) is not None:
            self.explicit = self.said = True
            self.agency = self.agency or (role.span("agency") if role["agency"] else None)
            self.printed.append(role.span())
            return role.end()
        for pattern, photo, words in _VERBS:
            if (verb := pattern.match(text, pos, end)) is not None:
                self.explicit = self.said = True
                self.photo, self.words = self.photo or photo, self.words or words
                return verb.end()
        if self.names and (reports := _REPORTS_FROM.match(text, pos, end)) is not None:
            self.place = reports.span("place") if reports["place"] else None
            return reports.end()
        dotted = _DOTTED.match(text, pos, end) if self.explicit or self.sure else None
        if dotted is not None:  # 阿卜杜拉·买买提; but 基层党建·一线见闻 is a column
            self.names.append(dotted.span())
            self.printed.append(dotted.span())
            return dotted.end()
        if _CONTACT.match(text, pos, end):
            return end
        run = _HAN_RUN.match(text, pos, end)
        return run.end() if run is not None and self._run(*run.span()) else None

    def _run(self, start: int, end: int) -> bool:
        """Take a run of characters without a space: 王明, 王明摄, 王明通讯员李芳, 县委宣传部."""
        verb = _TRAILING_VERB.search(self.text, start, end)
        if verb is not None and verb.start() > start:
            self.explicit = self.said = True
            self.reported = verb[0][-1] not in "摄影图"
            self.photo = self.photo or not self.reported or verb[0].startswith("摄影")
            self.words = self.words or self.reported
            end = verb.start()
        roles = [role.span() for role in _ROLE_INSIDE.finditer(self.text, start, end)]
        self.said = self.said or bool(roles)
        self.explicit = self.explicit or self.said
        self.printed.append((start, end))
        edges = [start, *(edge for role in roles for edge in role), end]
        pieces = zip(edges[::2], edges[1::2], strict=True)
        return all(self._piece(*piece) for piece in pieces if piece[0] < piece[1])

    def _piece(self, start: int, end: int) -> bool:
        piece = self.text[start:end]
        if len(piece) == 1 or self.letter is not None:
            return len(piece) == 1 and self._letter(start, end)
        if is_office(piece, surely=True):
            self.unit = self.unit or (start, end)
        elif self.reported and (cut := _name_before_place(piece)):  # 记者陈大文台北报道
            self.names.append((start, start + cut))
            self.place = (start + cut, end)
        elif (lengths := name_lengths(piece)) and (self.explicit or len(lengths) == 1):
            for length in lengths:
                self.names.append((start, start + length))
                start += length
        elif self.said and _may_be_named(piece):
            if piece not in _NOBODY:
                self.doubtful = self.doubtful or self.text[start - 1 : start].strip() != ""
                self.names.append((start, end))
        elif len(piece) >= 4 and (post := _POST_END.search(piece)):  # 县二中校长 王明
            self.unit = self.unit or (start, start + post.start() if post.start() else end)
        elif is_office(piece):
            self.unit = self.unit or (start, end)
        else:
            return False
        return True

    def _letter(self, start: int, end: int) -> bool:
        """Take one half of a name of two characters that are printed apart."""
        if self.letter is not None:
            self.names.append((self.letter, end))
        self.letter = start if self.letter is None else None
        return True


def _may_be_named(piece: str) -> bool:
    """Whether a word beside 记者 can be a name of no known surname: 凤利, 买买提江."""
    if len(piece) > 3:
        return len(piece) <= 5 and _SOUNDS.issuperset(piece)
    return piece not in _NOT_PERSONS


def _name_before_place(run: str) -> int:
    """Length of the name in 陈大文台北; 0 where `run` is not one name and one place."""
    for cut in (3, 2):
        rest = run[cut:]
        if is_person(run[:cut]) and 2 <= len(rest) <= 3 and not is_person(rest):
            return cut
    return 0


def skip_blank(text: str, pos: int, end: int | None = None, *, also: str = "") -> int:
    end = len(text) if end is None else end
    while pos < end and (text[pos].isspace() or text[pos] in also):
        pos += 1
    return pos
