"""The pack under test, and the contract's envelope as JSON."""

import copy
from typing import Any

import pytest

from policy.pack import Pack
from policy.registry import pack as find_pack
from tests.contract import ENVELOPE

VERSION = "gmo-appscloud-2018-10-22"


@pytest.fixture(scope="session")
def pack() -> Pack:
    return find_pack(VERSION)


@pytest.fixture
def envelope() -> dict[str, Any]:
    return copy.deepcopy(ENVELOPE)
