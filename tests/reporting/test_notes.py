from keras_kd.reporting import html, notes


def test_a_note_of_many_trainings_names_the_first():
    noted = [
        ("one", ["at is 1.5e-05", "other"]),
        ("two", ["at is 3"]),
        ("three", ()),
        ("four", ["at is 0.1"]),
    ]
    found = notes.grouped(noted)
    assert found == (("one", "at is 1.5e-05; likewise 2 more"), ("one", "other"))
    (section,) = html.notes_sections(found)
    assert section["table"]["rows"] == found


def test_a_page_without_notes_has_no_such_part():
    assert html.notes_sections(notes.grouped([("one", ())])) == []
