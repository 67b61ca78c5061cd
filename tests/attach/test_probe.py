from tests.attach.fakes import FakeProbe


def test_a_probe_gives_one_row_with_the_clocks_of_the_reading() -> None:
    probe = FakeProbe()
    assert probe.rows(5, 3) == [(5, 3, [10.0, 10.0])]
    assert probe.rows(6, 4) == [(6, 4, [20.0, 20.0])]
