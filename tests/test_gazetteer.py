"""The table of cities and counties."""

from __future__ import annotations

from service.gazetteer import gazetteer, stem_of


def test_the_table_has_every_prefecture_and_county() -> None:
    """337 prefectures and municipalities, some 2,900 counties, each under a known city or none."""
    names = gazetteer()

    assert 330 <= len(names.cities) <= 345
    assert 2_600 <= len(names.parents) <= 3_000  # names; 鼓楼区 is one of four
    assert names.parents["鼓楼区"] == {"南京市", "徐州市", "福州市", "开封市"}
    assert names.parents["微山县"] == {"济宁市"}
    assert all(owners <= names.cities for owners in names.parents.values())


def test_every_stem_with_the_suffix_of_its_name_is_found_again() -> None:
    """Cutting a name short loses no name but the common words."""
    names = gazetteer()

    for name in (*names.cities, *names.parents):
        assert names.whole(name + "开会", 0) == (name, len(name))
        stem = stem_of(name)
        assert stem == name or name in names.stems.get(stem, ()) or len(stem) == 2
