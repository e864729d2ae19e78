-- Searching studies (PS3.18, 10.6): where and when a study was made, names as they are searched by, and which images something
-- is known of.
--
-- Columns that are nullable or have a constant default. What is filled in here is of tables that no release has written yet.

alter table patient add column name_key text;
alter table study add column site text;
-- The study's date and time as if in UTC, or else when its first image was received.
alter table study add column made_at bigint;
-- 1 where it has a row of `instance`.
alter table image add column identified bigint not null default 0;

update patient set name_key = lower(name);
update study set site = patient.site,
    made_at = (select min(instance.made_at) from series join instance on instance.series = series.id
               where series.study = study.id)
  from patient where patient.id = study.patient;
update image set identified = 1 where id in (select image from instance);
