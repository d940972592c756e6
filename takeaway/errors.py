"""What a person at the terminal did not expect, with what to do about it."""


class UserError(Exception):
    """Ends a command with `error:` and `fix:` lines and exit code 2."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
