"""The one exception for bad input from outside: files, flags, configs, arrays."""


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
