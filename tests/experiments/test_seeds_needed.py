"""How many seeds a comparison needs, from a study's table."""

import pytest
from scipy import stats

from experiments import seeds_needed

ROWS = """run,cell,seed,status,accuracy
taught-s0,taught,0,done,0.90
alone-s0,alone,0,done,0.88
alone-s1,alone,1,done,0.87
taught-s1,taught,1,done,0.88
taught-s10,taught,10,done,0.91
alone-s10,alone,10,done,0.87
taught-s3,taught,3,failed,
alone-s3,alone,3,done,0.1
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(ROWS)
    return path


def test_differences_are_of_the_seeds_that_both_have(table):
    found = seeds_needed.differences(table, "taught", "alone")
    assert found == pytest.approx([0.02, 0.01, 0.04])


def test_the_line_says_how_many_seeds_find_a_point(table, capsys):
    seeds_needed.main(table, "taught", "alone")
    line = capsys.readouterr().out
    assert "taught minus alone: +2.3 (-1.5 to +6.1) points, varies by 1.5 between 3 seeds: " in line
    assert line.endswith(" for one point (two-sided t test at 5 %, in four of five studies)\n")
    count = int(line.split(": ")[2].split()[0])

    def power(seeds):
        shift, critical = 0.01 / 0.0152753 * seeds**0.5, stats.t.ppf(0.975, seeds - 1)
        return stats.nct.sf(critical, seeds - 1, shift) + stats.nct.cdf(-critical, seeds - 1, shift)

    assert power(count - 1) < 0.8 <= power(count)


def test_conditions_that_are_not_there_are_named(table):
    with pytest.raises(ValueError, match="which has taught, alone. Received: 0"):
        seeds_needed.differences(table, "taught", "other")


def test_what_cannot_be_compared_is_said(table):
    with pytest.raises(ValueError, match="two conditions are compared. Received: taught twice"):
        seeds_needed.main(table, "taught", "taught")
    table.write_text(ROWS.replace("0.90", "0.89").replace("0.91", "0.88"))
    with pytest.raises(ValueError, match=r"taught minus alone is \+1.0 points with each of 3 seeds"):
        seeds_needed.main(table, "taught", "alone")


def test_a_row_that_is_there_twice_and_another_separator_are_refused(table):
    table.write_text(ROWS + "taught-s1,taught,1,done,0.1\n")
    with pytest.raises(ValueError, match=r"results.csv: run taught-s1 stands there 2 times"):
        seeds_needed.differences(table, "taught", "alone")
    table.write_text(ROWS.replace(",", ";"))
    with pytest.raises(ValueError, match=r"has no column accuracy, .*with commas between.*'run;cell;"):
        seeds_needed.differences(table, "taught", "alone")
