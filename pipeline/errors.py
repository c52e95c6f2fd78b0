"""All exceptions of the pipeline. A message says what was found, what was expected, what to do."""


class PipelineError(Exception):
    """Base of every error that a user can act on; its text is shown as it is."""


class InputError(PipelineError):
    """A name, option, file or image that cannot be used."""


class ModelError(PipelineError):
    """A model that cannot be found, trusted or loaded."""


class CaptureError(PipelineError):
    """Attention that could not be captured, or could not be rebuilt from what was captured."""


class MemoryShortage(PipelineError):
    """Not enough free memory; the message names what is needed and what is free."""


class StoreError(PipelineError):
    """The cache folder cannot be read, written or trusted."""


class SpaceError(StoreError):
    """Not enough free disk space; the message names what is needed and what is free."""


class JobError(PipelineError):
    """A job that cannot be queued, or a worker that ended."""


class Cancelled(PipelineError):
    """Raised inside a job when its user asked for it to stop."""
