"""The exit statuses of the command line, and the refusal of what cannot be done."""

from __future__ import annotations

import click

FAILED, MISUSED, BROKEN, NOTHING_SELECTED, INTERRUPTED = 1, 2, 3, 5, 130


class Refusal(click.ClickException):
    """What was asked for cannot be done, in one sentence."""

    exit_code = MISUSED
