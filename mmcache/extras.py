"""What an extra of mmcache brings, and how to say that it is missing."""


class MissingExtraError(ImportError):
    """A package is needed that only an extra of mmcache brings; the message is the command to install it."""
