"""What can go wrong in the world, as opposed to in an argument (that is a `ValueError`)."""


class LenetError(Exception):
    """Root of the errors this package raises; the message names the value, the limit, the next step."""


class DataError(LenetError):
    """A data set is missing, truncated or not what its name says."""


class ImageError(LenetError):
    """A picture cannot be read, or is too large to be read safely."""


class EmptyDrawingError(LenetError):
    """A picture holds no ink, or too little to be a digit."""


class CheckpointError(LenetError):
    """A checkpoint cannot be read, or does not hold the network it describes."""


class StorageError(LenetError):
    """A file cannot be written: the disk is full, or the folder is not ours."""


class RunError(LenetError):
    """A run cannot be found, read, started or changed."""
