from __future__ import annotations

import numpy as np
import pytest
from made_images import MASKS, Case, params
from scripts.core.images import image_size, read_mask


@pytest.mark.parametrize("case", params(MASKS))
def test_values_are_those_that_are_stored_or_the_mask_is_refused(tmp_path, case: Case):
    path = tmp_path / case.name
    case.write(path)
    if case.expected is None:
        with pytest.raises(ValueError, match=case.name) as refused:
            read_mask(path)
        assert str(refused.value).startswith(f"{path}: found")
    else:
        found = read_mask(path)
        np.testing.assert_array_equal(found, case.expected)
        assert found.dtype == np.uint8 and image_size(path) == found.shape
