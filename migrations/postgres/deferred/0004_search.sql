-- Studies newest first, at a site, by name, by accession number, by the UIDs of what they hold; and the images of which nothing
-- is known. Without them a search reads tables whole.
drop index concurrently if exists patient_by_name;
create index concurrently patient_by_name on patient (name_key collate "C");
drop index concurrently if exists study_newest;
create index concurrently study_newest on study (made_at, id);
drop index concurrently if exists study_by_site;
create index concurrently study_by_site on study (site, made_at, id);
drop index concurrently if exists study_by_accession;
create index concurrently study_by_accession on study (accession);
drop index concurrently if exists series_by_uid;
create index concurrently series_by_uid on series (uid);
drop index concurrently if exists instance_by_own_uid;
create index concurrently instance_by_own_uid on instance (uid);
drop index concurrently if exists image_unidentified;
create index concurrently image_unidentified on image (received_at, id)
  where identified = 0 and state in ('ready', 'needs_human');
drop index concurrently if exists image_unidentified_by_site;
create index concurrently image_unidentified_by_site on image (site, received_at, id)
  where identified = 0 and state in ('ready', 'needs_human');
-- Names that the first search by name fills in.
drop index concurrently if exists patient_unkeyed;
create index concurrently patient_unkeyed on patient (id) where name_key is null and name is not null;
