//! Conditions in SQL.

use lobar_core::study::{
    Condition, Level, Name, Number, OTHER_MODALITY, Pattern, SECONDARY_CAPTURE, Search, Text, Uid,
    name_key,
};

use super::super::super::{Driver, Sql};

/// What images count as instances.
const SHOWN: &str = " and image.state || '' not in ('superseded', 'removed')";

/// Whether a condition names so few studies that they are found first, by an index, and sorted.
pub(super) fn names_few(search: &Search) -> bool {
    search.conditions.iter().any(|condition| match condition {
        Condition::Uids(..) => true,
        Condition::Text(Text::PatientId | Text::Accession, pattern) => pattern.is_exact(),
        Condition::Name(Name::Patient, pattern) => has_range(&pattern.map(name_key)),
        _ => false,
    })
}

/// Whether a condition has a range of an index of its own, which is read rather than all that is newest.
pub(super) fn names_a_range(search: &Search) -> bool {
    search.conditions.iter().any(|condition| match condition {
        Condition::Text(Text::Accession, pattern) => !pattern.prefix().is_empty(),
        _ => false,
    })
}

/// Whether the index has a range of what a name begins with.
fn has_range(key: &Pattern) -> bool {
    !key.prefix().is_empty()
}

/// Those on patients and studies, and on UIDs of what studies hold.
pub(super) fn studies<D: Driver>(sql: &mut Sql<D>, search: &Search) {
    for condition in &search.conditions {
        match condition {
            Condition::Uids(Level::Study, uids) => one_of(sql, " and study.uid in (", uids),
            Condition::Uids(Level::Series, uids) => {
                one_of(
                    sql,
                    " and study.id in (select series.study from series where series.uid in (",
                    uids,
                );
                sql.push(")");
            }
            Condition::Uids(Level::Instance, uids) => {
                one_of(
                    sql,
                    " and study.id in (select series.study from instance
                        join series on series.id = instance.series where instance.uid in (",
                    uids,
                );
                sql.push(")");
            }
            Condition::Text(Text::PatientId, id) if id.is_exact() => {
                sql.push(" and study.patient in (select id from patient where patient_id = ");
                sql.arg(id.as_str());
                sql.push(" union select patient from patient_alias where patient_id = ");
                sql.arg(id.as_str()).push(")");
            }
            Condition::Text(Text::PatientId, id) => {
                let id = D::glob(id);
                sql.push(" and (patient.patient_id").push(D::GLOB).arg(id.as_str());
                sql.push(
                    " or study.patient in (select patient from patient_alias where patient_id",
                );
                sql.push(D::GLOB).arg(id.as_str()).push("))");
            }
            Condition::Text(text, pattern) => {
                if let Some(column) = study_column(*text) {
                    like(sql, column, pattern);
                }
            }
            Condition::Name(Name::Patient, name) => patient_name(sql, &name.map(name_key)),
            Condition::Name(Name::ReferringPhysician, name) => {
                // Letters A to Z alone, on either side: SQLite knows no case of others.
                let name = name.map(str::to_ascii_lowercase);
                let with_groups = name.map(|name| format!("{name}=*"));
                for (before, pattern) in [(" and (", &name), (" or ", &with_groups)] {
                    sql.push(before).push("lower(study.referring_physician").push(D::BY_BYTES);
                    sql.push(")").push(D::GLOB).arg(D::glob(pattern).as_str());
                }
                sql.push(")");
            }
            Condition::Made(from, before) => {
                sql.push(" and study.made_at >= ").arg(from.0);
                sql.push(" and study.made_at < ").arg(before.0);
            }
            Condition::TimeOfDay(from, to) => {
                sql.push(
                    " and (study.study_date is null or study.study_time is not null)
                      and ((study.made_at / 1000000) % 86400 + 86400) % 86400 between ",
                );
                sql.arg(i64::from(*from)).push(" and ").arg(i64::from(*to));
            }
            Condition::Born(from, to) => {
                for (day, compared) in [(from, " >= "), (to, " <= ")] {
                    if let Some(day) = day {
                        sql.push(" and patient.birth_date").push(D::BY_BYTES).push(compared);
                        sql.arg(day.as_str());
                    }
                }
            }
            Condition::ModalityInStudy(patterns) => {
                sql.push(
                    " and exists (select 1 from series of_study
                        join instance on instance.series = of_study.id
                        join image on image.id = instance.image
                      where of_study.study = study.id",
                );
                sql.push(SHOWN);
                modality(sql, "of_study.modality", patterns);
                sql.push(")");
            }
            Condition::Classes(_) | Condition::Modality(_) | Condition::Number(..) => {}
        }
    }
}

/// Those on series and instances, with that of being one.
pub(super) fn instances<D: Driver>(sql: &mut Sql<D>, search: &Search) {
    sql.push(SHOWN);
    for condition in &search.conditions {
        match condition {
            Condition::Uids(Level::Series, uids) => one_of(sql, " and series.uid in (", uids),
            Condition::Uids(Level::Instance, uids) => one_of(sql, " and instance.uid in (", uids),
            Condition::Classes(classes) => {
                sql.push(
                    " and coalesce(instance.sop_class, case when instance.transfer_syntax is null then ",
                );
                sql.arg(SECONDARY_CAPTURE);
                one_of(sql, " end) in (", classes);
            }
            Condition::Modality(patterns) => modality(sql, "series.modality", patterns),
            Condition::Number(number, value) => {
                sql.push(match number {
                    Number::Series => " and series.number = ",
                    Number::Instance => " and instance.number = ",
                    Number::Rows => " and instance.pixel_rows = ",
                    Number::Columns => " and instance.pixel_columns = ",
                });
                sql.arg(*value);
            }
            Condition::Text(Text::SeriesDescription, pattern) => {
                like(sql, "series.description", pattern)
            }
            Condition::Text(Text::BodyPart, pattern) => like(sql, "series.body_part", pattern),
            _ => {}
        }
    }
}

fn study_column(text: Text) -> Option<&'static str> {
    match text {
        Text::Issuer => Some("patient.issuer"),
        Text::Sex => Some("patient.sex"),
        Text::Accession => Some("study.accession"),
        Text::StudyId => Some("study.study_id"),
        Text::StudyDescription => Some("study.description"),
        Text::PatientId | Text::SeriesDescription | Text::BodyPart => None,
    }
}

/// A series' modality matches one of these.
fn modality<D: Driver>(sql: &mut Sql<D>, column: &'static str, patterns: &[Pattern]) {
    for (place, pattern) in patterns.iter().enumerate() {
        sql.push(if place == 0 { " and (" } else { " or " });
        sql.push("coalesce(").push(column).push(", ").arg(OTHER_MODALITY).push(")");
        sql.push(D::GLOB).arg(D::glob(pattern).as_str());
    }
    sql.push(")");
}

fn one_of<D: Driver>(sql: &mut Sql<D>, before: &'static str, uids: &[Uid]) {
    sql.push(before).list(uids.iter().map(Uid::as_str)).push(")");
}

fn like<D: Driver>(sql: &mut Sql<D>, column: &'static str, pattern: &Pattern) {
    sql.push(" and ").push(column);
    match pattern.is_exact() {
        true => sql.push(" = ").arg(pattern.as_str()),
        false => sql.push(D::GLOB).arg(D::glob(pattern).as_str()),
    };
}

/// In whatever group it stands (PS3.5, 6.2.1.2): where the index has a range of what the first group begins with, by that, and
/// among the names that have several groups, which an index of their own has.
fn patient_name<D: Driver>(sql: &mut Sql<D>, key: &Pattern) {
    let whole = key.clone();
    let (first, last) = (key.map(|key| format!("{key}=*")), key.map(|key| format!("*={key}")));
    let middle = key.map(|key| format!("*={key}=*"));
    let ways = [whole, first, last, middle];
    if has_range(key) {
        let end = format!("{}\u{10ffff}", key.prefix());
        sql.push(" and study.patient in (select id from patient where name_key").push(D::BY_BYTES);
        sql.push(" >= ").arg(key.prefix()).push(" and name_key").push(D::BY_BYTES);
        sql.push(" < ").arg(end.as_str());
        sql.push(" union select id from patient where replace(name_key, '=', '') <> name_key");
        // True of each: it has the planner take the index.
        sql.push(" and name_key").push(D::BY_BYTES).push(" >= '' and (");
        any_of(sql, "name_key", &ways[2..]);
        sql.push("))");
    }
    sql.push(" and (");
    any_of(sql, "patient.name_key", &ways);
    sql.push(")");
}

fn any_of<D: Driver>(sql: &mut Sql<D>, column: &'static str, ways: &[Pattern]) {
    for (place, way) in ways.iter().enumerate() {
        sql.push(if place == 0 { "" } else { " or " });
        sql.push(column).push(D::GLOB).arg(D::glob(way).as_str());
    }
}
