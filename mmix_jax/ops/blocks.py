"""How rows are cut into blocks."""


def even_blocks(num_rows: int, block_size: int) -> tuple[int, int]:
    """(number of blocks, rows in each): blocks of at most `block_size` rows, with little padding.

    Multiples of eight where the limit allows it, for the sake of vector instructions.
    """
    num_blocks = -(-num_rows // block_size)
    size = min(-(-num_rows // (8 * num_blocks)) * 8, block_size, num_rows)
    return num_blocks, size
