"""What banks send and what is sent to banks, as files: read whole or refused, written as the layouts say.

`read` takes any of the files; what they tell is in `deposits`, what is wrong with them in `findings`. This
package opens nothing and keeps nothing, and knows of no request, invoice or ledger.
"""

from starter.bank.deposits import BankDeposit, Movement
from starter.bank.files import BankFile, read
from starter.bank.findings import BankFileRefused, Finding

__all__ = ["BankDeposit", "BankFile", "BankFileRefused", "Finding", "Movement", "read"]
