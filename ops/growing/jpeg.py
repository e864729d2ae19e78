"""Grey JPEGs with noise, of a chosen number of pixels and bytes, made without an encoder.

A baseline JPEG (ITU-T T.81) whose rows of blocks are restart intervals: each begins anew, so a few rows of blocks that are
coded once are put together to a picture of any height. The brightness of a block is a hill over its row; its other coefficients
are drawn at random until the row has the bytes that it should have.
"""

import math
import random
import struct

# Rows of blocks that differ.
ROWS = 8
# Magnitude categories 0 to 11 of DC, each with a code of 4 bits.
DC = bytes(range(12))
# Of AC: the end of a block, and values of 1 to 4 bits without zeros before them, each with a code of 3 bits.
AC = bytes([0x00, 0x01, 0x02, 0x03, 0x04])
QUANTISER = 8


def picture(pixels, size, seed=1):
    """A square picture of about so many pixels and bytes."""
    side = max(round(math.sqrt(pixels) / 8), 1)
    chance = random.Random(seed)
    rows = [row(side, size / side, 1 - number / (2 * ROWS), chance) for number in range(ROWS)]
    parts = []
    for number in range(side):
        # Brightest in the middle of the height.
        parts.append(rows[min(abs(2 * number - side) * ROWS // (side + 1), ROWS - 1)])
        if number < side - 1:
            parts.append(bytes([0xFF, 0xD0 + number % 8]))
    return header(side) + b"".join(parts) + b"\xff\xd9"


def row(blocks, size, height, chance):
    """One row of blocks, of about so many bytes."""
    bits, before = [], 0
    for block in range(blocks):
        # 1,024 is white, QUANTISER times what is written.
        level = round((math.sin(math.pi * (block + 0.5) / blocks) * height - 0.5) * 900 / QUANTISER)
        bits.append(number_of(level - before, 4, lambda category: category))
        before = level
        # Until the block has its share of the row; the end of a block takes 3 bits, and a full block has none.
        room, count = size * 8 / blocks - len(bits[-1]) - 3, 0
        while count < 63 and room * chance.uniform(0.7, 1.3) > 4:
            value = chance.choice((-1, 1)) * chance.randint(1, 1 if room / (63 - count) < 5 else 15)
            bits.append(number_of(value, 3, lambda category: category))
            room, count = room - len(bits[-1]), count + 1
        if count < 63:
            bits.append("000")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")


def number_of(value, width, code):
    """The code of the value's category in so many bits, and the value in as many as the category says."""
    category = abs(value).bit_length()
    rest = value if value > 0 else value + (1 << category) - 1
    return f"{code(category):0{width}b}" + (f"{rest:0{category}b}" if category else "")


def header(side):
    def segment(marker, body):
        return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

    def huffman(table, width, symbols):
        counts = [len(symbols) if bits == width else 0 for bits in range(1, 17)]
        return bytes([table, *counts]) + symbols

    return b"".join(
        [
            b"\xff\xd8",
            segment(0xDB, bytes([0, *[QUANTISER] * 64])),
            segment(0xC0, struct.pack(">BHHBBBB", 8, side * 8, side * 8, 1, 1, 0x11, 0)),
            segment(0xC4, huffman(0x00, 4, DC)),
            segment(0xC4, huffman(0x10, 3, AC)),
            segment(0xDD, struct.pack(">H", side)),
            segment(0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
        ]
    )
