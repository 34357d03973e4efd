"""What is wrong with data, said where it stands."""


class DataError(ValueError):
    """Bad data; the message begins with the place: FILE:LINE, or a file's table and row."""
