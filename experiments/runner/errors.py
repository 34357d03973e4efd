"""What a user can mend, told in a line and without a traceback."""


class UserError(Exception):
    """The message names the thing that is wrong and how to mend it."""


class Interrupted(Exception):
    """The run was asked to stop; it saved its state and can go on."""

    def __init__(self, message: str, signal_number: int):
        super().__init__(message)
        self.signal_number = signal_number


class StoppedElsewhere(Exception):
    """Another process of the job was refused; it says why, and this one stops, too."""

    def __init__(self, process: int, status: int):
        super().__init__(f"stopped: process {process} of the job was refused, and says why")
        self.process, self.status = process, status
