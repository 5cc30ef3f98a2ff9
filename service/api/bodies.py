"""What requests and replies hold; these classes check the one and document both."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar, get_origin

from flask import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, from_json
from werkzeug.exceptions import RequestEntityTooLarge

from classifier.article import MAX_CHARS, Article
from classifier.errors import Malformed, WrongMediaType

MOST_ERRORS = 1_000

Body = TypeVar("Body", bound=BaseModel)
Asked = TypeVar("Asked", bound="Query")


def _no_nul(text: str) -> str:
    # PostgreSQL cannot store it and SQLite cuts there; one rule for all.
    return text.replace("\0", "")


Text = Annotated[str, AfterValidator(_no_nul)]
Probability = Annotated[float, Field(ge=0, le=1)]


class Incoming(BaseModel):
    """What is sent as JSON: no unknown field, nothing turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """What stands behind the question mark: text that becomes numbers, dates and lists."""

    model_config = ConfigDict(extra="forbid")


class ArticleBody(Incoming):
    """一篇稿件"""

    id: Text = Field("", max_length=200, description="调用方自己的编号，原样返回")
    title: Text = Field("", max_length=MAX_CHARS, description="标题")
    text: Text = Field(max_length=MAX_CHARS, description="正文")

    def article(self) -> Article:
        """The article as the classifier knows it."""
        return Article(self.text, self.title, self.id)


class PredictBatch(Incoming):
    """多篇稿件"""

    articles: list[ArticleBody] = Field(min_length=1, description="稿件，按顺序返回结果")
    explain: bool = Field(False, description="返回说明主题的词句")


class PredictOne(ArticleBody):
    """一篇稿件，可要求说明理由"""

    explain: bool = Field(False, description="返回说明主题的词句")


class EvidenceReply(BaseModel):
    """说明主题的一处词句"""

    theme: str
    text: str
    field: str = Field(description="title 或 text")
    start: int = Field(description="在该字段原文中的起点，按字符计")
    end: int
    weight: float = Field(description="对该主题对数几率的贡献，负数为反面理由")


class TaggingReply(BaseModel):
    """一篇稿件的稿签"""

    id: str
    title: str
    themes: list[str] = Field(description="达到采纳线的主题，最强的在前")
    decision: str = Field(description="auto 自动放行，none 无主题，review 送审")
    scores: dict[str, Probability] = Field(description="各主题校准后的概率，互相独立")
    coverage: Probability = Field(description="模型认得的特征所占比例")
    model: str
    evidence: list[EvidenceReply] | None = Field(None, description="仅在 explain 时返回")


class PredictReply(BaseModel):
    """预测结果"""

    model: str = Field(description="作答的模型编号")
    results: list[TaggingReply]


class ThemeReply(BaseModel):
    """一个主题"""

    slug: str
    name: str
    definition: str
    examples: list[str]
    promise: dict[str, Any] = Field(description="当前模型对这个主题的承诺")


class ThemesReply(BaseModel):
    """全部主题"""

    model: str
    themes: list[ThemeReply]


class ModelReply(BaseModel):
    """本进程正在使用的模型"""

    model: str
    created: str
    themes: list[ThemeReply]
    training: dict[str, Any]
    tokenizer: dict[str, Any]


class HealthReply(BaseModel):
    """进程状态"""

    status: str
    serving: str | None = Field(description="本进程正在使用的模型")
    promoted: str | None = Field(description="应当使用的模型")
    problem: str = Field(description="二者不一致的原因")


class ProblemReply(BaseModel):
    """RFC 9457 问题说明"""

    type: str
    title: str
    status: int
    detail: str
    request_id: str


def read_body(request: Request, *kinds: type[Body]) -> Body:
    """The body as the first of `kinds` it can be; raises Malformed that names the wrong field.

    pydantic's own JSON reader refuses deep nesting, NaN and lone surrogates, at which the
    standard library either fails or looks away.
    """
    if request.mimetype != "application/json":
        raise WrongMediaType(
            f"内容类型是 {request.mimetype or '空'}", fix="请用 Content-Type: application/json"
        )
    content = request.get_data(cache=False)
    if request.content_length is None and len(content) == request.max_content_length:
        # Of a body of unstated length the framework hands out as much as is allowed, and no word.
        raise RequestEntityTooLarge
    try:
        record = from_json(content, allow_inf_nan=False)
    except ValueError:
        raise Malformed("请求体不是合法的 JSON", fix="请检查括号、引号和 UTF-8 编码") from None
    record = _with_whole_numbers(record)
    return checked(_kind_of(record, kinds), record)


def _with_whole_numbers(record: Any) -> Any:
    """The same with 3.0 as 3: in JSON they are one number."""
    match record:
        case float() if record.is_integer():
            return int(record)
        case dict():
            return {name: _with_whole_numbers(value) for name, value in record.items()}
        case list():
            return [_with_whole_numbers(value) for value in record]
    return record


def read_query(request: Request, kind: type[Asked]) -> Asked:
    """The query as `kind`; a field that is a list takes every repetition, any other exactly one.

    Raises Malformed that names the wrong field.
    """
    sent: dict[str, object] = {}
    for name, values in request.args.lists():
        field = kind.model_fields.get(name)
        if field is not None and get_origin(field.annotation) in {list, tuple}:
            sent[name] = values
        elif len(values) > 1:
            raise Malformed(f"{name}：只能有一个", fix="格式见 /docs")
        else:
            sent[name] = values[0]
    return checked(kind, sent)


def checked(kind: type[Body], record: object) -> Body:
    """A record as `kind`; raises Malformed that names the wrong fields."""
    try:
        return kind.model_validate(record)
    except ValidationError as error:
        if error.error_count() > MOST_ERRORS:
            # To describe each of them would take longer than to read them all.
            raise Malformed(f"有 {error.error_count()} 处不合格式", fix="格式见 /docs") from None
        raise Malformed(
            "；".join(
                f"{'.'.join(map(str, one['loc'])) or '整体'}：{_reason(one)}"
                for one in error.errors(include_input=False, include_url=False)[:5]
            ),
            fix="格式见 /docs",
        ) from None


def _kind_of(record: object, kinds: tuple[type[Body], ...]) -> type[Body]:
    """The first of `kinds` that has all the fields sent; the first of all where none has."""
    sent = set(record) if isinstance(record, dict) else set()
    return next((kind for kind in kinds if sent <= _names(kind)), kinds[0])


@cache
def _names(kind: type[BaseModel]) -> frozenset[str]:
    return frozenset(kind.model_fields)


def _reason(error: ErrorDetails) -> str:
    limits = error.get("ctx", {})
    reasons = {
        "missing": "必须有这一项",
        "extra_forbidden": "没有这一项",
        "model_type": "应是一个 JSON 对象",
        "string_type": "应是文字",
        "string_too_long": f"超过 {limits.get('max_length')} 字",
        "string_too_short": f"少于 {limits.get('min_length')} 字",
        "string_pattern_mismatch": f"应符合 {limits.get('pattern')}",
        "bool_type": "应是 true 或 false",
        "bool_parsing": "应是 true 或 false",
        "int_parsing": "应是整数",
        "int_type": "应是整数",
        "greater_than_equal": f"不能小于 {limits.get('ge')}",
        "less_than_equal": f"不能大于 {limits.get('le')}",
        "literal_error": f"应是 {limits.get('expected')} 之一",
        "list_type": "应是列表",
        "dict_type": "应是一个 JSON 对象",
        "too_short": "不能为空",
    }
    return reasons.get(error["type"], error["msg"])
