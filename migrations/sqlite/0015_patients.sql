-- Whose image it is: a patient of a site, a study, a series, an instance (PS3.3, A.1.2). All of it is personal, and kept apart
-- from results: an image of which nothing is known has no rows here. UIDs are there always, derived where a file has none.
--
-- New tables only: nothing that is there is read or locked.

create table patient (
  id         blob   not null constraint patient_pk primary key,
  -- Null where the site is unknown, and patient_id where the image names none: such a patient is of one image.
  site       text,
  -- Empty: the site itself.
  issuer     text   not null,
  patient_id text,
  name       text,
  birth_date text,
  sex        text   constraint patient_sex check (sex in ('M', 'F', 'O')),
  constraint patient_once unique (site, issuer, patient_id)
) strict;
create index patient_by_id on patient (patient_id);

-- Ids that were merged into another patient's, with what was known of them: late images go to the patient that is left.
create table patient_alias (
  site       text   not null,
  issuer     text   not null,
  patient_id text   not null,
  patient    blob   not null constraint patient_alias_patient references patient (id) on delete cascade,
  -- The id that this patient had, as the audit record names it.
  former     blob   not null,
  name       text,
  birth_date text,
  sex        text,
  -- What the merge filled in of the patient that is left: words of name, birth_date, sex.
  filled     text   not null default '',
  merged_at  integer not null,
  constraint patient_alias_pk primary key (site, issuer, patient_id)
) strict;
create index patient_alias_by_patient on patient_alias (patient);
create index patient_alias_by_id on patient_alias (patient_id);

-- What was known of patients before it was corrected.
create table patient_before (
  id           blob   not null constraint patient_before_pk primary key,
  patient      blob   not null constraint patient_before_patient references patient (id) on delete cascade,
  name         text,
  birth_date   text,
  sex          text,
  corrected_at integer not null
) strict;
create index patient_before_by_patient on patient_before (patient);

create table study (
  id                  blob   not null constraint study_pk primary key,
  patient             blob   not null constraint study_patient references patient (id),
  uid                 text   not null,
  study_id            text,
  accession           text,
  study_date          text,
  study_time          text,
  description         text,
  referring_physician text,
  constraint study_once unique (patient, uid)
) strict;
create index study_by_uid on study (uid);

-- Studies that were moved to another patient: what comes of them under the former id goes there too.
create table study_moved (
  site       text   not null,
  issuer     text   not null,
  patient_id text   not null,
  uid        text   not null,
  study      blob   not null constraint study_moved_study references study (id) on delete cascade,
  constraint study_moved_pk primary key (site, issuer, patient_id, uid)
) strict;
create index study_moved_by_study on study_moved (study);

create table series (
  id          blob   not null constraint series_pk primary key,
  study       blob   not null constraint series_study references study (id),
  uid         text   not null,
  modality    text,
  number      integer,
  description text,
  body_part   text,
  constraint series_once unique (study, uid)
) strict;

create table instance (
  image                      blob   not null constraint instance_pk primary key
                             constraint instance_image references image (id),
  series                     blob   not null constraint instance_series references series (id),
  uid                        text   not null,
  -- Null where it is unknown: such an image is compared with no other.
  site                       text,
  -- The image whose place it took.
  replaces                   blob,
  -- The patient as the object says it.
  given_issuer               text   not null,
  given_id                   text,
  given_name                 text,
  given_birth_date           text,
  given_sex                  text,
  -- What is to be known of it, also where there is no finding: codes with a space between them.
  warnings                   text   not null default '',
  -- The study's date and time as if in UTC, or else when the image was received.
  made_at                    integer not null,
  -- Of the object's bytes.
  sha256                     blob,
  sop_class                  text,
  transfer_syntax            text,
  number                     integer,
  view_position              text,
  acquired_date              text,
  acquired_time              text,
  pixel_rows                 integer,
  pixel_columns              integer,
  bits_stored                integer,
  photometric_interpretation text,
  frames                     integer,
  burned_in_annotation       integer constraint instance_burned_in_annotation check (burned_in_annotation in (0, 1)),
  patient_age                text
) strict;
create index instance_by_uid on instance (site, uid);
create index instance_by_series on instance (series);
