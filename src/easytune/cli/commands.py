"""The subcommands of `easytune` in the order of its help, and usages of those with many flags."""

COMMANDS = (
    "ui", "train", "estimate", "check", "evaluate", "export", "models", "serve", "chat", "runs",
    "stop", "resume", "report", "data", "config", "intents", "options", "doctor",
)  # fmt: skip
USAGES = {
    "train": "easytune train [FILE] [--intent ID] [--output DIR] [--SECTION.OPTION VALUE ...]",
    "show": "easytune intents show ID [FILE] [--SECTION.OPTION VALUE ...]",
    "estimate": "easytune estimate [FILE] [--json] [--SECTION.OPTION VALUE ...]",
    "check": "easytune check [FILE] [--memory GB] [--steady] [--range-test] [--no-ladder]"
    " [--SECTION.OPTION VALUE ...]",
    "evaluate": "easytune evaluate [FILE] [--models MODEL ...] [--fail-below METRIC=VALUE ...]"
    " [--report FILE] [--SECTION.OPTION VALUE ...]",
    "export": "easytune export [FILE] [MODEL ...] [--target TARGET] [--SECTION.OPTION VALUE ...]",
    "serve": "easytune serve MODEL [--detach] [--OPTION VALUE ...] | list |"
    " stop|restart|log|check|delete [DEPLOYMENT]",
    "chat": "easytune chat MODEL [PROMPT] [--base BASE] [--system TEXT] [--OPTION VALUE ...]",
    "config": "easytune config [FILE] [--as-command SHELL] [--SECTION.OPTION VALUE ...]",
}
