"""Settings: what they are, where they come from and how they are checked."""

from obskit.settings._describe import SettingDescription, describe_settings
from obskit.settings._load import load_settings
from obskit.settings._settings import LogFormat, LoggingMode, LogLevel, Settings, TracingMode
from obskit.settings._tokens import is_bearer_token

__all__ = [
    "LogFormat",
    "LogLevel",
    "LoggingMode",
    "SettingDescription",
    "Settings",
    "TracingMode",
    "describe_settings",
    "is_bearer_token",
    "load_settings",
]
