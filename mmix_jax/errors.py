"""The one exception for bad input from outside: files, flags, configs, arrays."""


class InputError(ValueError):
    """Bad input, told in one line: the rule, what was found, the way out.

    The command line prints it as ``error: <line>`` and ends with exit status 2.

    Example:
      >>> from mmix_jax.errors import InputError
      >>> issubclass(InputError, ValueError)
      True
    """
