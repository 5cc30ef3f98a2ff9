"""Every setting, once: its name, default and meaning; read from a TOML file and the environment.

`gaoqian config` shows the table with the values in force and where each comes from;
docs/operate.md and the tests read it too.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from classifier.errors import SettingRefused

PREFIX = "GAOQIAN_"
CONFIG_VARIABLE = "GAOQIAN_CONFIG"
MAIL_PASSWORD_VARIABLE = "GAOQIAN_MAIL_PASSWORD"  # noqa: S105 (a name; a secret is no setting)
CONFIG_PLACES = ("gaoqian.toml", "/etc/gaoqian/gaoqian.toml")

_CHECKOUT = Path(__file__).resolve().parent.parent


def _at_home() -> Path:
    try:
        return Path("~/.local/share/gaoqian").expanduser()
    except RuntimeError:  # a user whom the system does not know, as in many containers
        return Path("/var/lib/gaoqian")


_AT_HOME = _at_home()


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing the technician may choose."""

    name: str
    default: str | int | float | bool
    help: str  # in Chinese, one clause
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name.upper()


def _default_models() -> str:
    bundled = _CHECKOUT / "models"
    return str(bundled if (bundled / "README.md").is_file() else _AT_HOME / "models")


SETTINGS = (
    Setting("models", _default_models(), "模型版本所在的文件夹"),
    Setting("corpus", "", "重训用的标注稿，几处用冒号分隔；空为随附语料"),
    Setting("host", "127.0.0.1", "服务监听的地址"),
    Setting("port", 8600, "服务监听的端口", least=0, most=65535),
    Setting("database", str(_AT_HOME / "gaoqian.db"), "数据库：文件路径，或 postgresql:// 地址"),
    Setting(
        "login",
        "auto",
        "要不要登录：required 要；auto 只在本机且还没有账号时不要；off 不要，仅限本机",
        choices=("auto", "required", "off"),
    ),
    Setting("behind_proxy", False, "前面有反向代理，采信它说的来访地址和协议"),
    Setting("trusted_hosts", "", "可用的主机名，逗号分隔，.example.cn 含其下各名；空为不限"),
    Setting("session_hours", 168, "登录最长几小时", least=1, most=8760),
    Setting("idle_hours", 12, "登录后闲置几小时即失效", least=1, most=8760),
    Setting("workers", 2, "服务进程数", least=1, most=64),
    Setting("threads", 8, "每个进程的线程数", least=1, most=256),
    Setting("max_batch", 1000, "一次请求最多几篇", least=1, most=100_000),
    Setting("max_body_mb", 20, "请求和文件的大小上限，MB", least=1, most=1000),
    Setting("reload_seconds", 1.0, "每隔几秒查看是否换了模型", least=0.1, most=3600),
    Setting("event_seconds", 50, "即时通知的一次连接最长几秒", least=1, most=300),
    Setting("webhook_url", "", "来稿和审稿的每件事都通知这个地址；空为不通知"),
    Setting("webhook_secret", "", "给通知签名的密钥，至少 16 个字符"),
    Setting("timeout", 60, "一个请求最长处理几秒", least=1, most=3600),
    Setting("metrics_token", "", "看 /metrics 要带的令牌；空为只给本机看"),
    Setting("log_articles", False, "日志里记不记稿件原文；排错时才开"),
    Setting("settle_seconds", 3.0, "看文件夹时，文件几秒不变才收", least=0.1, most=3600),
    Setting("mail_host", "", "收稿邮箱的 IMAP 服务器"),
    Setting("mail_port", 993, "IMAP 服务器的端口", least=1, most=65535),
    Setting(
        "mail_security",
        "tls",
        "与邮箱的连接怎样加密：tls、starttls，或 none（密码和来稿在网络上是明文）",
        choices=("tls", "starttls", "none"),
    ),
    Setting("mail_ca", "", "邮箱服务器自建证书的文件；空为用系统信任的证书"),
    Setting("mail_user", "", "收稿邮箱的用户名"),
    Setting(
        "mail_password_file",
        "",
        f"只存邮箱密码的文件；不用文件则设环境变量 {MAIL_PASSWORD_VARIABLE}",
    ),
    Setting("mail_folder", "INBOX", "收哪个邮箱文件夹里的来稿"),
    Setting("mail_seconds", 60, "每隔几秒查看邮箱", least=5, most=86_400),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force."""

    values: Mapping[str, Any]
    sources: Mapping[str, str]  # where each value comes from, in words

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def replaced(self, given: Mapping[str, Any]) -> Settings:
        """The same with values from the command line over them."""
        return Settings(
            {**self.values, **given}, {**self.sources, **dict.fromkeys(given, "命令行")}
        )

    @property
    def models(self) -> Path:
        """The folder of model versions."""
        return Path(self.values["models"]).expanduser()


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Defaults, then the TOML file, then the environment.

    Raises SettingRefused that names the setting, its source and what it may be.
    """
    known = {setting.name: setting for setting in SETTINGS}
    values: dict[str, Any] = {setting.name: setting.default for setting in SETTINGS}
    sources = dict.fromkeys(values, "默认")
    path = _config_file(environment)
    if path is not None:
        for name, value in _read_toml(path).items():
            if name not in known:
                raise _unknown(name, known, where=str(path))
            values[name] = _checked(known[name], value, where=str(path))
            sources[name] = str(path)
    for variable, text in environment.items():
        if not variable.startswith(PREFIX) or variable in (CONFIG_VARIABLE, MAIL_PASSWORD_VARIABLE):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in known:
            raise _unknown(name, known, where=f"环境变量 {variable}")
        values[name] = _checked(known[name], _from_text(known[name], text), where=variable)
        sources[name] = variable
    return Settings(values, sources)


def _config_file(environment: Mapping[str, str]) -> Path | None:
    named = environment.get(CONFIG_VARIABLE)
    if named:
        if not Path(named).is_file():
            raise SettingRefused(
                "没有这个设置文件", where=named, fix=f"请改正环境变量 {CONFIG_VARIABLE}"
            )
        return Path(named)
    return next((Path(place) for place in CONFIG_PLACES if Path(place).is_file()), None)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingRefused(f"不是能读的 TOML（{error}）", where=str(path)) from None


def _unknown(name: str, known: Mapping[str, Setting], *, where: str) -> SettingRefused:
    return SettingRefused(f"没有叫 {name} 的设置", where=where, fix=f"可用的有：{'、'.join(known)}")


def _from_text(setting: Setting, text: str) -> Any:
    kind = type(setting.default)
    if kind is bool:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}.get(
            text.lower(), text
        )
    try:
        return kind(text)
    except ValueError:
        return text


def _checked(setting: Setting, value: Any, *, where: str) -> Any:
    kind = type(setting.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        wanted = {bool: "true 或 false", int: "整数", float: "数", str: "文字"}[kind]
        raise SettingRefused(f"{setting.name} 应是{wanted}，现在是 {value!r}", where=where)
    if setting.choices and value not in setting.choices:
        raise SettingRefused(
            f"{setting.name} 现在是 {value!r}",
            where=where,
            fix=f"应是 {'、'.join(setting.choices)} 之一",
        )
    low, high = setting.least, setting.most
    if isinstance(value, int | float) and not (
        (low is None or value >= low) and (high is None or value <= high)
    ):
        raise SettingRefused(
            f"{setting.name} 现在是 {value}", where=where, fix=f"应在 {low} 到 {high} 之间"
        )
    return value
