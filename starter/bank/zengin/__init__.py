"""Zengin files: the fixed-length records in which Japanese banks have exchanged money since the tape.

`records` has the layouts, `reading` the reader and the exact way back, `ordering` the transfer orders,
`lines` the money in a file, `eras` its dates. Nothing here knows of requests, invoices or databases.
"""

from starter.bank.zengin.reading import Framing, ZenginFile, read, written

__all__ = ["Framing", "ZenginFile", "read", "written"]
