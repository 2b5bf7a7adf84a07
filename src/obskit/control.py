"""Switch operations off and on while the program runs, without touching their declarations.

Example:
    ``obskit.control.disable("orders.*", signals={"log"})`` keeps metrics and spans of all
    operations whose names begin with ``orders.``, and stops their log lines.
"""

from obskit.runtime import SIGNALS, Signal, Switch, disable, disabled, enable

__all__ = ["SIGNALS", "Signal", "Switch", "disable", "disabled", "enable"]
