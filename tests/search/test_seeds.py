import pytest

from mars2.search.seeds import derive


def test_is_stable_across_versions():
    # A changed value would silently change every recorded run.
    assert derive(0, "tree", 1) == 5633435075120403692
    assert all(0 <= derive("x", i) < 2**63 for i in range(100))


def test_parts_keep_their_borders_and_types():
    values = [derive("a", "bc"), derive("ab", "c"), derive("abc"), derive(1), derive("1")]
    assert len(set(values)) == len(values)
    assert derive("i1:1") != derive(1)
    assert derive(-1) != derive(1)


def test_refuses_other_types():
    with pytest.raises(TypeError, match="float"):
        derive(1.0)  # type: ignore[arg-type]
