"""Everything Gaoqian refuses, as one tree.

Each error says what is wrong, where, and what to do, in the language of the people who read it.
It is raised where the cause is known and translated once, at the edge: the command line turns
`exit_code` into its own, the HTTP service turns `status` and `slug` into a problem document.

    GaoqianError
    ├── InputRefused            a text or file that cannot be tagged
    │   ├── EmptyArticle
    │   ├── TooLarge
    │   ├── UnknownEncoding
    │   └── UnreadableFile
    ├── CorpusRefused           labelled articles that cannot be learned from
    ├── ModelRefused            a model that is not served
    │   ├── ModelMissing
    │   ├── ModelDamaged
    │   └── ModelForeign
    ├── GateRefused             a candidate that is not promoted
    ├── SettingRefused          a setting that makes no sense
    ├── ServiceRefused          a request the service does not carry out
    │   ├── LoginNeeded, NotAllowed, Unfit, NotFound, Conflict, Busy, TooMany, Malformed, WrongMediaType,
    │   └── ThemesRefused, KeyReused, StorageFull
    ├── BackupRefused           a file that is no backup, or no longer the one that was written
    └── ExtraMissing            an optional package that is not installed
"""

from __future__ import annotations

from typing import ClassVar


class GaoqianError(Exception):
    """A refusal that says what is wrong, where, and what to do.

    >>> print(GaoqianError("没有正文", where="a.txt", fix="请补上正文后重投"))
    a.txt：没有正文。请补上正文后重投。
    """

    slug: ClassVar[str] = "refused"
    title: ClassVar[str] = "无法处理"
    status: ClassVar[int] = 400
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what.rstrip("。")
        self.where = where
        self.fix = fix.rstrip("。")

    def __str__(self) -> str:
        head = f"{self.where}：{self.what}。" if self.where else f"{self.what}。"
        return f"{head}{self.fix}。" if self.fix else head


class InputRefused(GaoqianError):
    """A text or file that cannot be tagged as it is."""

    slug, title, status = "input-refused", "稿件无法处理", 422


class EmptyArticle(InputRefused):
    """Nothing is left of the article once spaces and control characters are gone."""

    slug, title = "empty-article", "稿件没有内容"


class TooLarge(InputRefused):
    """A text, file or batch beyond the stated limit."""

    slug, title, status = "too-large", "超过大小上限", 413


class UnknownEncoding(InputRefused):
    """Bytes that are no text in any encoding we know."""

    slug, title = "unknown-encoding", "认不出文字编码"


class UnreadableFile(InputRefused):
    """A file that is damaged, encrypted, without text, or of a format we do not read."""

    slug, title = "unreadable-file", "文件读不出来"


class CorpusRefused(GaoqianError):
    """Labelled articles with problems, all of them named."""

    slug, title, status = "corpus-refused", "标注稿有问题", 422


class ModelRefused(GaoqianError):
    """A model that is not served."""

    slug, title, status = "model-refused", "模型不能使用", 503


class ModelMissing(ModelRefused):
    """There is no such model, or none has been promoted yet."""

    slug, title = "model-missing", "没有可用的模型"


class ModelDamaged(ModelRefused):
    """A model folder whose files are not what its manifest says."""

    slug, title = "model-damaged", "模型文件损坏"


class ModelForeign(ModelRefused):
    """A model made for another format, tokenizer, dictionary or cleaning."""

    slug, title = "model-foreign", "模型与本程序不匹配"


class GateRefused(GaoqianError):
    """A candidate model that must not replace the one in service."""

    slug, title, status, exit_code = "gate-refused", "新模型未通过", 409, 3


class SettingRefused(GaoqianError):
    """A setting with a name or value that makes no sense."""

    slug, title = "setting-refused", "设置有误"


class ServiceRefused(GaoqianError):
    """A request that the service does not carry out."""

    slug, title = "request-refused", "请求无法执行"


class Malformed(ServiceRefused):
    """A request that does not follow the published document."""

    slug, title, status = "malformed", "请求格式有误", 400


class LoginNeeded(ServiceRefused):
    """Nobody we know: no login or token, a wrong one, or one that has ended."""

    slug, title, status = "login-needed", "请先登录", 401


class NotAllowed(ServiceRefused):
    """Somebody without the right to do this."""

    slug, title, status = "not-allowed", "没有权限", 403


class Unfit(ServiceRefused):
    """A well-formed request for something that our rules do not allow."""

    slug, title, status = "unfit", "内容不合要求", 422


class NotFound(ServiceRefused):
    """Something that is not there."""

    slug, title, status = "not-found", "没有找到", 404


class Conflict(ServiceRefused):
    """Something that changed in the meantime, or is in somebody else's hands."""

    slug, title, status = "conflict", "与现状冲突", 409


class Outdated(Conflict):
    """A change to something that somebody else has changed since it was read."""

    slug, title, status = "outdated", "已被别人改过", 412


class ThemesRefused(ServiceRefused):
    """Themes that cannot be set: unknown ones, or none said where some are needed."""

    slug, title, status = "themes-refused", "主题不对", 422


class KeyReused(ServiceRefused):
    """An Idempotency-Key that was sent before with another request."""

    slug, title, status = "key-reused", "幂等键已用于别的请求", 422


class WrongMediaType(ServiceRefused):
    """A body in a form that the route does not take."""

    slug, title, status = "wrong-media-type", "不支持的内容类型", 415


class TooMany(ServiceRefused):
    """More requests than one caller may send."""

    slug, title, status = "too-many", "请求过于频繁", 429

    def __init__(self, what: str, *, where: str = "", fix: str = "", seconds: int = 5) -> None:
        super().__init__(what, where=where, fix=fix)
        self.seconds = seconds  # after which trying again makes sense


class Busy(ServiceRefused):
    """A store or worker that cannot answer just now; trying again will help."""

    slug, title, status = "busy", "系统正忙", 503


class StorageFull(ServiceRefused):
    """No room left to keep what was sent."""

    slug, title, status = "storage-full", "磁盘已满", 507


class BackupRefused(GaoqianError):
    """A file that is no backup, or no longer the one that was written, or has no place here."""

    slug, title = "backup-refused", "备份不能用"


class ExtraMissing(GaoqianError):
    """An optional package that this command needs."""

    slug, title, status = "extra-missing", "缺少可选组件", 501
