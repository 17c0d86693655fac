"""The one error that is shown to the user."""


class KcnnError(Exception):
    """A mistake that the user can fix: `message` says what was expected and what was found, `hint` what to do.

    The command line prints it as one `error:` line and one `hint:` line and exits with 1.
    """

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["KcnnError"], tuple[str, str]]:
        return type(self), (self.message, self.hint)  # else what comes from another process has no hint


class TooShortError(KcnnError):
    """The time that is given is not enough for one step."""
