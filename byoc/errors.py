"""What can go wrong on the laptop's side; every message says what, which value and what to do."""


class ByocError(Exception):
    """Something that the person at the keyboard can mend; its message is fit to be shown as it is."""


class ProgramError(ByocError):
    """A container program is missing, could not start, ended unasked or never became ready."""


class ConfinementError(ProgramError):
    """This machine cannot take away from a program what it is to do without."""


class DemoError(ByocError):
    """A stage of the demo failed."""


class OutputError(ByocError):
    """What we say cannot be written."""


class ReaderGoneError(OutputError):
    """Whoever read what we say has had enough, as in `byoc demo | head`."""
