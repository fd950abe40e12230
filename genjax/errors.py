"""The two exceptions the command line turns into exit codes. Standard library only: errors answer without jax."""


class UsageError(ValueError):
    """Bad usage, configuration or input. The command line prints it in a few lines and exits with 2."""


class RunFailure(RuntimeError):
    """A run failed by itself (out of disk, non-finite loss). The command line prints it and exits with 1."""
