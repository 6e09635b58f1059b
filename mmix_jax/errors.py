"""Exceptions that end a program in one line: bad input, and a run that lost a process."""


class InputError(ValueError):
    """Bad input, told in one line: the rule, what was found, the way out.

    The command line prints it as ``error: <line>`` and ends with exit status 2.

    Example:
      >>> from mmix_jax.errors import InputError
      >>> issubclass(InputError, ValueError)
      True
    """


class MissingData(InputError):
    """A published data set is nowhere, and cannot be had: the line says where to put its files.

    Example:
      >>> from mmix_jax.errors import InputError, MissingData
      >>> issubclass(MissingData, InputError)
      True
    """


class ProcessFault(RuntimeError):
    """What ends a run of several processes in all of them: one is gone, or they do not agree.

    The command line prints it as ``error: <line>`` and ends with exit status 3.

    Example:
      >>> from mmix_jax.errors import InputError, ProcessFault
      >>> issubclass(ProcessFault, InputError)
      False
    """
