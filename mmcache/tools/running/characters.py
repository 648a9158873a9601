"""Halves of characters in texts, which no tokenizer reads and no file holds.

Python puts them in place of bytes that are no UTF-8 on a command line, and JSON may have them.
"""

import json
from typing import Any


def half_character(data: Any) -> str:
    """The first half of a character in a text, or in what can be JSON, as Python writes it; "" if none."""
    try:
        json.dumps(data, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError as error:
        return ascii(error.object[error.start])
    return ""
