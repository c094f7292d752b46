import pytest

from keras_kd.distillation import class_map

NAMES = ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.json", '{"dog": 7, "cat": "2"}'),
        ("map.csv", "class,output\ncat,2\n\ndog,7\n"),
        ("map.csv", 'dog,7\r\n"cat", 2\r\n'),
        ("map.txt", "ant\nbee\ncat\nelk\nfox\ngnu\nhen\ndog\njay\n"),
        ("map.json", '["ant", "bee", "cat", "elk", "fox", "gnu", "hen", "dog", "jay"]'),
    ],
)
def test_the_students_classes_in_their_order(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert class_map.places(tmp_path / name, NAMES, 9) == [2, 7]
    assert class_map.places(str(tmp_path / name), NAMES[::-1], 9) == [7, 2]


def test_it_is_said_in_a_line():
    assert class_map.in_words([2, 7], NAMES, 1000) == "2 of its 1,000 outputs: 'cat' <- 2, 'dog' <- 7"
    many = class_map.in_words(list(range(9)), tuple("abcdefghi"), 9)
    assert many.endswith("'e' <- 4, and 4 more")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cat": 2}, "a class is missing: 'dog'. Name each of the dataset's 2 classes once: 'cat', 'dog'"),
        ({"cat": 2, "dog": 7, "cow": 1}, "is no class of the dataset: 'cow'"),
        ({"cat": 2, "dog": 2}, "two classes have the place 2: 'cat' and 'dog'"),
        ({"cat": 2, "dog": 9}, "'dog' must have a place from 0 to 8.*Received: 9"),
        ({"cat": -1, "dog": 7}, "'cat' must have a place from 0 to 8.*Received: -1"),
        ({"cat": True, "dog": 7}, "Received: True"),
        ({"cat": 1.5, "dog": 7}, "Received: 1.5"),
        ({"cat": "tabby", "dog": 7}, "Received: 'tabby'"),
        ({"cat": [1], "dog": 7}, r"Received: \[1\]"),
        (["cat", "dog"], "as many as its 9 outputs. Received: 2"),
        (["cat"] * 8 + ["dog"], "the teacher has two classes 'cat'"),
        (["cow"] * 8 + ["dog"], "a class is missing: 'cat'"),
        (7, "class_map: must be a dict of the student's classes.*Received: 7"),
    ],
)
def test_a_map_that_says_nothing_is_named(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        class_map.places(given, NAMES, 9)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "map.json",
            b'{"cat": 2, "cat": 3, "dog": 7}',
            "is no class map: the classes must hold each value once",
        ),
        ("map.csv", b"cat,2\ncat,3\n", "hold each value once. Received: 'cat' twice"),
        ("map.csv", b"cat,2,3\n", r"is a class, a comma and a place. Received: \['cat', '2', '3'\]"),
        ("map.csv", b"", "Received: an empty file"),
        ("map.json", b"", "is no class map"),
        ("map.json", b"[1, 2]", "must be a dict"),
        ("map.json", b"\xff\xfe\x00", "is no class map"),
        ("map.json", b"[" * 100_000, "is no class map"),
        ("map.yaml", b"cat: 2", r"a class map ends in .json, .csv, .txt. Received: 'map.yaml'"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        class_map.places(tmp_path / name, NAMES, 9)
    assert str(caught.value).startswith(str(tmp_path / name))
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="give the path of a class map"):
        class_map.places(tmp_path / "map.json", NAMES, 9)
