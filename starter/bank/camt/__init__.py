"""camt.053 and camt.054, the statements and notifications of ISO 20022, read in constant memory.

Versions 02 to 08 and later are read alike. The file is parsed twice. The first pass checks it all and raises
every finding at once; it also decides, for each entry, whether its transactions add up to it and count one by
one, or the entry counts as a whole. The second pass yields the lines. What was parsed is dropped after each
transaction; DTDs and entities are refused outright.
"""

from starter.bank.camt.reading import CamtFile, read

__all__ = ["CamtFile", "read"]
