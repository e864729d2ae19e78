//! Small numbers of a row that are not told, and the others that would tell them: a part follows from its total and the
//! other parts, so a second number of such a sum is left out, too (complementary suppression).

/// A number of cases below this is not told.
const SMALL: u64 = 5;

/// A number of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cell {
    Opinions,
    ExposedBefore,
    Unfinished,
    NotPainted,
    NotAssessable,
    WithoutTruth,
    /// How many of a rate; of how many is the cell after it.
    Changed,
    ChangedOf,
    Followed,
    FollowedOf,
    TurnedWrong,
    TurnedWrongOf,
    TurnedRight,
    TurnedRightOf,
    Misled,
    MisledOf,
    Helped,
    HelpedOf,
}

/// How many cells a row has.
const CELLS: usize = 18;

/// A row's numbers, each at its [`Cell`].
pub(super) type Cells = [u64; CELLS];

/// How many of a rate, and of how many.
pub(super) const RATES: [(Cell, Cell); 6] = [
    (Cell::Changed, Cell::ChangedOf),
    (Cell::Followed, Cell::FollowedOf),
    (Cell::TurnedWrong, Cell::TurnedWrongOf),
    (Cell::TurnedRight, Cell::TurnedRightOf),
    (Cell::Misled, Cell::MisledOf),
    (Cell::Helped, Cell::HelpedOf),
];

/// Totals with their parts. The last three hold where everything has a truth; elsewhere they are taken to.
const SUMS: [&[Cell]; 5] = [
    &[
        Cell::Opinions,
        Cell::ExposedBefore,
        Cell::Unfinished,
        Cell::NotPainted,
        Cell::NotAssessable,
        Cell::ChangedOf,
    ],
    &[Cell::ChangedOf, Cell::WithoutTruth, Cell::TurnedWrongOf, Cell::TurnedRightOf],
    &[Cell::FollowedOf, Cell::MisledOf, Cell::HelpedOf],
    &[Cell::Changed, Cell::TurnedWrong, Cell::TurnedRight],
    &[Cell::Followed, Cell::Misled, Cell::Helped],
];

/// Which of a row's numbers are told.
pub(super) struct Told([bool; CELLS]);

impl Told {
    /// Every one.
    pub(super) fn all() -> Self {
        Self([true; CELLS])
    }

    /// None that is small, nor shows one that is.
    pub(super) fn safe(cells: &Cells) -> Self {
        let value = |cell: Cell| cells[cell as usize];
        let mut told = Self(cells.map(|count| !is_small(count)));
        for (hits, of) in RATES {
            // Neither the hits nor the rest may be small: each tells the other.
            if is_small(value(of) - value(hits)) {
                told.hide(hits);
            }
            if !told.tells(of) {
                told.hide(hits);
            }
        }
        while let Some(second) = SUMS.iter().find_map(|sum| told.second(sum, cells)) {
            told.hide(second);
        }
        told
    }

    /// Whether a number is told.
    pub(super) fn tells(&self, cell: Cell) -> bool {
        self.0[cell as usize]
    }

    /// What is to be left out of a sum in which one number alone is: the smallest of the others that is not zero.
    fn second(&self, sum: &[Cell], cells: &Cells) -> Option<Cell> {
        let (told, hidden): (Vec<Cell>, Vec<Cell>) =
            sum.iter().partition(|cell| self.tells(**cell));
        let others = told.into_iter().filter(|cell| cells[*cell as usize] > 0);
        others.min_by_key(|cell| cells[*cell as usize]).filter(|_| hidden.len() == 1)
    }

    fn hide(&mut self, cell: Cell) {
        self.0[cell as usize] = false;
        // How many and the share tell of how many.
        if let Some((hits, _)) = RATES.iter().find(|(_, of)| *of == cell) {
            self.0[*hits as usize] = false;
        }
    }
}

fn is_small(count: u64) -> bool {
    (1..SMALL).contains(&count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of cells; all others are 0.
    fn row(cells: &[(Cell, u64)]) -> Cells {
        let mut row = [0; CELLS];
        for (cell, count) in cells {
            row[*cell as usize] = *count;
        }
        row
    }

    #[test]
    fn a_small_part_does_not_follow_from_its_total() {
        let told = Told::safe(&row(&[
            (Cell::Opinions, 50),
            (Cell::ExposedBefore, 3),
            (Cell::Unfinished, 7),
            (Cell::NotPainted, 10),
            (Cell::ChangedOf, 30),
            (Cell::WithoutTruth, 30),
        ]));
        assert!(!told.tells(Cell::ExposedBefore), "it is small");
        assert!(!told.tells(Cell::Unfinished), "50 - 10 - 30 - 7 would be 3");
        for cell in [Cell::Opinions, Cell::NotPainted, Cell::NotAssessable, Cell::ChangedOf] {
            assert!(told.tells(cell));
        }
    }

    #[test]
    fn a_number_that_is_left_out_for_another_does_not_follow_from_a_third() {
        // 2 are hidden; so are the 20 of changes beside them, and then one of the sum that the 20 are the total of.
        let told = Told::safe(&row(&[
            (Cell::Opinions, 22),
            (Cell::Unfinished, 2),
            (Cell::ChangedOf, 20),
            (Cell::Changed, 6),
            (Cell::TurnedWrongOf, 12),
            (Cell::TurnedWrong, 6),
            (Cell::TurnedRightOf, 8),
        ]));
        assert!(!told.tells(Cell::Unfinished) && !told.tells(Cell::ChangedOf));
        assert!(!told.tells(Cell::Changed), "with its share it tells of how many");
        assert!(!told.tells(Cell::TurnedRightOf) && !told.tells(Cell::TurnedRight));
        assert!(told.tells(Cell::Opinions) && told.tells(Cell::TurnedWrongOf));
        for sum in SUMS {
            let hidden = sum.iter().filter(|cell| !told.tells(**cell)).count();
            assert_ne!(hidden, 1, "it would follow");
        }
    }

    #[test]
    fn hits_of_two_rates_do_not_tell_a_third() {
        let told = Told::safe(&row(&[
            (Cell::Opinions, 60),
            (Cell::ChangedOf, 60),
            (Cell::Changed, 12),
            (Cell::TurnedWrongOf, 30),
            (Cell::TurnedWrong, 3),
            (Cell::TurnedRightOf, 30),
            (Cell::TurnedRight, 9),
        ]));
        assert!(!told.tells(Cell::TurnedWrong), "it is small");
        assert!(!told.tells(Cell::TurnedRight), "12 - 9 would be 3");
        assert!(told.tells(Cell::Changed) && told.tells(Cell::TurnedWrongOf));
    }

    #[test]
    fn where_nothing_is_small_all_is_told() {
        let cells = row(&[(Cell::Opinions, 60), (Cell::Unfinished, 10), (Cell::ChangedOf, 50)]);
        assert!(Told::safe(&cells).0.into_iter().all(|told| told));
    }
}
