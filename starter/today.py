"""The day on which somebody at a keyboard acts; a request goes by its own."""

from datetime import UTC, date, datetime

from policy.calendar import today_in_tokyo


def machine_day() -> date:
    """Today in Tokyo by the clock of this machine."""
    return today_in_tokyo(datetime.now(UTC))
