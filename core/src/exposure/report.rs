//! How often a right first opinion turned wrong after the answer was shown, and the reverse. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use super::small::{Cell, Cells, RATES, Told};
use super::{Case, Visible};
use crate::finding::Label;
use crate::object::ImageId;

/// The figures of a site with fewer readers are almost those of one person.
const FEW_READERS: usize = 3;
/// Of the normal distribution, for an interval of 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Whom a report names, and how exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Tells small numbers too, and sites with few readers.
    pub small: bool,
    /// A row for each person at each site. Tells small numbers too.
    pub by_person: bool,
}

/// The figures of all sites.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Whether there were labels to compare opinions with.
    pub with_truth: bool,
    /// By site, and by person where that was asked for.
    pub sites: Vec<Figures>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rate {
    /// How many; null where too few to be told.
    pub count: Option<u64>,
    /// Of how many; null where too few to be told.
    pub of: Option<u64>,
    /// The share; null where nothing can be told.
    pub share: Option<f64>,
    /// The lower end of Wilson's interval of 95 %.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
}

/// The figures of one site, or of one person there. A number that is too small to be told is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The site; null where it is not known.
    pub site: Option<String>,
    /// The person's account; null in figures of a site.
    pub reader: Option<Uuid>,
    /// Whether all is left out because fewer than three people read there.
    pub few_readers: bool,
    /// First opinions.
    pub opinions: Option<u64>,
    /// Left out: something of the answer was met before the first opinion.
    pub exposed_before: Option<u64>,
    /// Left out: no verdict was given afterwards.
    pub unfinished: Option<u64>,
    /// Left out: the answer was never painted before the verdict, as far as the page says.
    pub not_painted: Option<u64>,
    /// Left out: found not assessable, first or last.
    pub not_assessable: Option<u64>,
    /// Opinions that changed, of the cases that were left.
    pub changed: Rate,
    /// Those that changed to the network's label, of those that differed from it at first.
    pub followed: Rate,
    /// Left out of what follows: nobody said what is right.
    pub without_truth: Option<u64>,
    /// Right first opinions that turned wrong, of the right ones.
    pub turned_wrong: Rate,
    /// Wrong first opinions that turned right, of the wrong ones.
    pub turned_right: Rate,
    /// The first of these where the network was wrong.
    pub misled: Rate,
    /// The second of these where the network was right.
    pub helped: Rate,
}

/// What is counted of one row.
#[derive(Default)]
struct Counts {
    readers: BTreeSet<Uuid>,
    opinions: u64,
    exposed_before: u64,
    unfinished: u64,
    not_painted: u64,
    not_assessable: u64,
    without_truth: u64,
    changed: [u64; 2],
    followed: [u64; 2],
    turned_wrong: [u64; 2],
    turned_right: [u64; 2],
    misled: [u64; 2],
    helped: [u64; 2],
}

/// Counts cases. `truth` says what is right of each image, as far as anybody said; `None` where nobody was asked.
pub fn report<'a>(
    cases: impl IntoIterator<Item = &'a Case>,
    truth: Option<&BTreeMap<ImageId, Label>>,
    scope: Scope,
) -> Report {
    let mut rows: BTreeMap<(Option<String>, Option<Uuid>), Counts> = BTreeMap::new();
    for case in cases {
        let reader = scope.by_person.then_some(case.first.opinion.reader.id);
        let right = truth.and_then(|truth| truth.get(&case.first.opinion.image).copied());
        rows.entry((case.site.clone(), reader)).or_default().add(case, right);
    }
    let told = |((site, reader), counts): (_, Counts)| {
        let few = counts.readers.len() < FEW_READERS && !scope.small && !scope.by_person;
        match few {
            true => Figures { site, few_readers: true, ..Figures::default() },
            false => counts.figures(site, reader, scope.small || scope.by_person),
        }
    };
    Report { with_truth: truth.is_some(), sites: rows.into_iter().map(told).collect() }
}

impl Counts {
    fn add(&mut self, case: &Case, right: Option<Label>) {
        let first = &case.first;
        self.opinions += 1;
        if !case.before.is_nothing() {
            self.exposed_before += 1;
            return;
        }
        let Some(last) = &case.last else {
            self.unfinished += 1;
            return;
        };
        if !case.between.any_of(Visible::WORD | Visible::PROBABILITY | Visible::HEATMAP) {
            self.not_painted += 1;
            return;
        }
        let (Some(own), Some(end)) = (first.opinion.label, last.label) else {
            self.not_assessable += 1;
            return;
        };
        let count = |rate: &mut [u64; 2], hit: bool| {
            rate[0] += u64::from(hit);
            rate[1] += 1;
        };
        // Whoever's cases are all left out hides nobody.
        self.readers.insert(first.opinion.reader.id);
        count(&mut self.changed, own != end);
        if own != first.found {
            count(&mut self.followed, end == first.found);
        }
        let Some(right) = right else {
            self.without_truth += 1;
            return;
        };
        let network_is_right = first.found == right;
        if own == right {
            count(&mut self.turned_wrong, end != right);
            if !network_is_right {
                count(&mut self.misled, end != right);
            }
        } else {
            count(&mut self.turned_right, end == right);
            if network_is_right {
                count(&mut self.helped, end == right);
            }
        }
    }

    fn cells(&self) -> Cells {
        let mut cells = Cells::default();
        let counts = [
            (Cell::Opinions, self.opinions),
            (Cell::ExposedBefore, self.exposed_before),
            (Cell::Unfinished, self.unfinished),
            (Cell::NotPainted, self.not_painted),
            (Cell::NotAssessable, self.not_assessable),
            (Cell::WithoutTruth, self.without_truth),
        ];
        for (cell, count) in counts {
            cells[cell as usize] = count;
        }
        let rates = [
            self.changed,
            self.followed,
            self.turned_wrong,
            self.turned_right,
            self.misled,
            self.helped,
        ];
        for ((hits, of), rate) in RATES.into_iter().zip(rates) {
            [cells[hits as usize], cells[of as usize]] = rate;
        }
        cells
    }

    fn figures(&self, site: Option<String>, reader: Option<Uuid>, small: bool) -> Figures {
        let cells = self.cells();
        let told = if small { Told::all() } else { Told::safe(&cells) };
        let count = |cell: Cell| told.tells(cell).then_some(cells[cell as usize]);
        let rate = |hits: Cell, of: Cell| match (count(hits), count(of)) {
            (Some(hits), Some(of)) => Rate::of(hits, of),
            (_, of) => Rate { of, ..Rate::default() },
        };
        Figures {
            site,
            reader,
            few_readers: false,
            opinions: count(Cell::Opinions),
            exposed_before: count(Cell::ExposedBefore),
            unfinished: count(Cell::Unfinished),
            not_painted: count(Cell::NotPainted),
            not_assessable: count(Cell::NotAssessable),
            changed: rate(Cell::Changed, Cell::ChangedOf),
            followed: rate(Cell::Followed, Cell::FollowedOf),
            without_truth: count(Cell::WithoutTruth),
            turned_wrong: rate(Cell::TurnedWrong, Cell::TurnedWrongOf),
            turned_right: rate(Cell::TurnedRight, Cell::TurnedRightOf),
            misled: rate(Cell::Misled, Cell::MisledOf),
            helped: rate(Cell::Helped, Cell::HelpedOf),
        }
    }
}

impl Rate {
    /// With Wilson's interval (Wilson 1927).
    fn of(hits: u64, of: u64) -> Self {
        let none = Self { count: Some(hits), of: Some(of), ..Self::default() };
        if of == 0 {
            return none;
        }
        // Counts of images are far below 2^53.
        let (n, share) = (of as f64, hits as f64 / of as f64);
        let around = 1.0 + Z * Z / n;
        let middle = (share + Z * Z / (2.0 * n)) / around;
        let half = Z / around * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let (low, high) = ((middle - half).max(0.0), (middle + half).min(1.0));
        Self { share: Some(share), low: Some(low), high: Some(high), ..none }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, FirstOpinion, Last, NewOpinion, Reader};
    use super::*;
    use crate::time::Stamp;
    use Label::{Normal, Pneumonia};

    /// A case of reader `n % 3` on image `n`, whose right label is pneumonia.
    fn case(n: u128, own: Label, found: Label, end: Label) -> Case {
        let reader = Reader { id: Uuid::from_u128(n % 3), name: "somebody".into() };
        let opinion = NewOpinion {
            image: ImageId(Uuid::from_u128(n)),
            reader,
            role: "clinician".into(),
            session: None,
            label: Some(own),
            rendering: None,
        };
        let answer = Answer { model_version: "7".into(), model_sha256: "ab".into() };
        let (id, at) = (Uuid::from_u128(n), Stamp(1));
        Case {
            first: FirstOpinion { id, opinion, answer, found, at },
            site: Some("north".into()),
            last: Some(Last { label: Some(end), at: Stamp(2) }),
            before: Visible::NOTHING,
            between: Visible::WORD,
        }
    }

    fn truth() -> BTreeMap<ImageId, Label> {
        (0..1_000).map(|n| (ImageId(Uuid::from_u128(n)), Pneumonia)).collect()
    }

    /// 20 right first opinions under a wrong answer, of which 6 turn wrong; 10 under a right one, which stay; 12 wrong
    /// ones under a right answer, of which 5 turn right; 2 wrong ones under a wrong answer, which stay.
    fn cases() -> Vec<Case> {
        let mut cases = Vec::new();
        let mut many = |count: usize, own, found, end| {
            for _ in 0..count {
                cases.push(case(cases.len() as u128, own, found, end));
            }
        };
        many(6, Pneumonia, Normal, Normal);
        many(14, Pneumonia, Normal, Pneumonia);
        many(10, Pneumonia, Pneumonia, Pneumonia);
        many(5, Normal, Pneumonia, Pneumonia);
        many(7, Normal, Pneumonia, Normal);
        many(2, Normal, Normal, Normal);
        cases
    }

    fn pair(rate: Rate) -> (Option<u64>, Option<u64>) {
        (rate.count, rate.of)
    }

    #[test]
    fn a_made_up_sequence_is_counted_as_by_hand() {
        let report = report(&cases(), Some(&truth()), Scope::default());
        let [north] = report.sites.as_slice() else { panic!("one site") };
        assert_eq!(north.opinions, Some(44));
        assert_eq!(pair(north.turned_wrong), (Some(6), Some(30)));
        assert_eq!(pair(north.turned_right), (Some(5), Some(14)));
        assert_eq!(pair(north.misled), (Some(6), Some(20)));
        assert_eq!(pair(north.helped), (Some(5), Some(12)));
        assert_eq!(pair(north.changed), (Some(11), Some(44)));
        assert_eq!(pair(north.followed), (Some(11), Some(32)));
        // Wilson for 6 of 20, as R's prop.test(6, 20, correct = FALSE) has it.
        let close = |a: Option<f64>, b: f64| a.is_some_and(|a| (a - b).abs() < 5e-5);
        assert!(close(north.misled.share, 0.3));
        assert!(close(north.misled.low, 0.1455) && close(north.misled.high, 0.5190));
    }

    #[test]
    fn what_says_nothing_of_the_answer_s_influence_is_left_out_and_said() {
        let mut cases = cases();
        cases[0].before = Visible::FLAG;
        cases[1].last = None;
        cases[2].between = Visible::FLAG;
        cases[3].first.opinion.label = None;
        let mut truth = truth();
        truth.remove(&cases[4].first.opinion.image);
        let all = Scope { small: true, ..Scope::default() };
        let report = report(&cases, Some(&truth), all);
        let north = &report.sites[0];
        let left_out = [
            north.exposed_before,
            north.unfinished,
            north.not_painted,
            north.not_assessable,
            north.without_truth,
        ];
        assert_eq!(left_out, [Some(1); 5]);
        assert_eq!(pair(north.turned_wrong), (Some(1), Some(25)));
        assert_eq!(pair(north.changed), (Some(7), Some(40)));
    }

    #[test]
    fn small_numbers_and_sites_with_few_readers_are_told_only_when_asked_for() {
        let some: Vec<Case> = cases().into_iter().skip(2).collect();
        let told = report(&some, Some(&truth()), Scope::default());
        assert_eq!(pair(told.sites[0].misled), (None, Some(18)), "four would tell four people");
        assert_eq!(told.sites[0].misled.share, None);
        assert_eq!(pair(told.sites[0].helped), (None, Some(12)), "9 followed, 5 of them helped");
        let asked = report(&some, Some(&truth()), Scope { small: true, ..Scope::default() });
        assert_eq!(pair(asked.sites[0].misled), (Some(4), Some(18)));

        let of_two: Vec<Case> =
            cases().into_iter().filter(|case| case.first.id.as_u128() % 3 < 2).collect();
        let told = report(&of_two, Some(&truth()), Scope::default());
        assert!(told.sites[0].few_readers && told.sites[0].opinions.is_none());
        // A third reader, of whom no case counts.
        let mut with_idle = cases();
        for case in with_idle.iter_mut().filter(|case| case.first.id.as_u128() % 3 == 2) {
            case.last = None;
        }
        let told = report(&with_idle, Some(&truth()), Scope::default());
        assert!(told.sites[0].few_readers && told.sites[0].changed.count.is_none());
        let by_person = report(&of_two, Some(&truth()), Scope { by_person: true, small: false });
        assert_eq!(by_person.sites.len(), 2);
        assert!(by_person.sites.iter().all(|row| row.reader.is_some() && row.opinions.is_some()));
    }

    #[test]
    fn without_truth_only_changes_are_told() {
        let report = report(&cases(), None, Scope::default());
        assert!(!report.with_truth);
        assert_eq!(pair(report.sites[0].turned_wrong), (Some(0), Some(0)));
        assert_eq!(pair(report.sites[0].changed), (Some(11), Some(44)));
    }
}
