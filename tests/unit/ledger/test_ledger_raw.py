"""What would be stored for ever is searched for the ids that were sent with it."""

import pytest

from tmu.errors import RequestError
from tmu.ledger.raw import refuse_raw


@pytest.mark.parametrize("text", ["about Jose\u0301 17", "ABOUT JOS\u00c9", "jos\u00e9"])
@pytest.mark.parametrize("raw", ["Jos\u00e9", "Jose\u0301"])
def test_an_id_is_found_however_it_is_spelled(text: str, raw: str) -> None:
    with pytest.raises(RequestError, match="holds an id of this very call"):
        refuse_raw(text, "reason", [raw])


def test_other_names_pass() -> None:
    refuse_raw("court file 12-77", "reason", ["Jos\u00e9"])
