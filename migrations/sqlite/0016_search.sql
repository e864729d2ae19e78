-- Searching studies (PS3.18, 10.6): where and when a study was made, names as they are searched by, and which images something
-- is known of.

alter table patient add column name_key text;
alter table study add column site text;
-- The study's date and time as if in UTC, or else when its first image was received.
alter table study add column made_at integer;
-- 1 where it has a row of `instance`.
alter table image add column identified integer not null default 0;

-- Names, sites and dates of rows that are there are filled in by the first search.
update image set identified = 1 where id in (select image from instance);

create index patient_by_name on patient (name_key);
create index patient_unkeyed on patient (id) where name_key is null and name is not null;
create index study_newest on study (made_at, id);
create index study_by_site on study (site, made_at, id);
create index study_by_accession on study (accession);
create index series_by_uid on series (uid);
create index instance_by_own_uid on instance (uid);
create index image_unidentified on image (received_at, id)
  where identified = 0 and state in ('ready', 'needs_human');
create index image_unidentified_by_site on image (site, received_at, id)
  where identified = 0 and state in ('ready', 'needs_human');
