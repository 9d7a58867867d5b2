"""Arrays and tensors as pictures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_files import assert_same, over_white, pixels
from unrender.core.errors import ImageError
from unrender.core.images import open_image


class TestArrays:
    @settings(deadline=None)
    @given(hnp.arrays(np.uint8, st.tuples(st.integers(5, 9), st.integers(5, 9), st.sampled_from([1, 3, 4]))))
    def test_all_layouts_and_types_agree(self, array):
        torch = pytest.importorskip("torch")
        expected = open_image(array)
        chw = np.moveaxis(array, 2, 0)
        unit = array / 255
        same = [
            chw,
            array[None],
            chw[None],
            unit,
            unit.astype(np.float32),
            unit.astype(np.float16),
            chw / 255,
        ]
        tensors = [
            torch.from_numpy(array),
            torch.from_numpy(unit),
            torch.from_numpy(unit).permute(2, 0, 1)[None],
        ]
        if array.shape[2] == 1:
            same += [array[:, :, 0], unit[:, :, 0]]
        for source in same + tensors:
            assert_same(open_image(source), expected)
        if array.shape[2] == 3:
            assert_same(expected, array)
        elif array.shape[2] == 1:
            assert_same(expected, array.repeat(3, axis=2))
        else:
            assert_same(expected, over_white(array), tolerance=1)

    def test_tensors_with_gradients_and_short_floats(self):
        torch = pytest.importorskip("torch")
        tensor = torch.full((8, 8, 3), 0.5, requires_grad=True)
        assert open_image(tensor).getpixel((0, 0)) == (128, 128, 128)
        assert open_image(tensor.to(torch.bfloat16)).getpixel((0, 0)) == (128, 128, 128)

    def test_a_shape_that_fits_both_layouts_has_its_channels_last(self):
        assert open_image(np.zeros((3, 7, 3), np.uint8)).size == (7, 3)

    def test_the_overshoot_of_resizing_is_clipped(self):
        array = np.array([[-0.1, 0, 1, 1.1]], np.float32).repeat(5, axis=0)
        assert pixels(open_image(array))[0, :, 0].tolist() == [0, 0, 255, 255]

    @pytest.mark.parametrize(
        "array, cause",
        [
            (np.full((5, 5, 3), np.nan), "NaN"),
            (np.full((5, 5, 3), np.inf), "infinite"),
            (np.full((5, 5, 3), 200.0), "divide it by 255"),
            (np.linspace(-1, 1, 75).reshape(5, 5, 3), "from -1 to 1.*scale it to 0 to 1"),
            (np.zeros((5, 5, 3), np.int64), "int64"),
            (np.zeros((5, 5, 3), bool), "bool"),
            (np.zeros((5, 5, 3), np.complex64), "complex64"),
            (np.array([["a"]], object), "object"),
            (np.zeros((2, 5, 5, 3), np.uint8), "batch of 2.*one at a time"),
            (np.zeros((0, 5, 5, 3), np.uint8), "batch of 0"),
            (np.zeros((5, 5, 2), np.uint8), r"shape \(5, 5, 2\)"),
            (np.zeros((5, 5, 5), np.uint8), r"shape \(5, 5, 5\)"),
            (np.zeros(5, np.uint8), r"shape \(5,\)"),
            (np.zeros((1, 1, 5, 5, 3), np.uint8), "shape"),
            (np.zeros((0, 5, 3), np.uint8), "without values"),
            (np.float32(3), r"shape \(\)"),
        ],
    )
    def test_arrays_that_are_no_pictures(self, array, cause):
        with pytest.raises(ImageError, match=cause):
            open_image(array)

    def test_tensors_that_are_no_pictures(self):
        torch = pytest.importorskip("torch")
        for tensor in (torch.zeros(5, 5, 3).to_sparse(), torch.zeros(5, 5, 3, device="meta")):
            with pytest.raises(ImageError):
                open_image(tensor)
