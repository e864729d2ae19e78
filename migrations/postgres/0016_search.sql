-- Searching studies (PS3.18, 10.6): where and when a study was made, names as they are searched by, and which images something
-- is known of.
--
-- Columns that are nullable or have a constant default. No release has written patients and studies yet; those of a database that
-- was between releases are filled in by the first search.

alter table patient add column name_key text;
alter table study add column site text;
-- The study's date and time as if in UTC, or else when its first image was received.
alter table study add column made_at bigint;
-- 1 where it has a row of `instance`.
alter table image add column identified bigint not null default 0;
