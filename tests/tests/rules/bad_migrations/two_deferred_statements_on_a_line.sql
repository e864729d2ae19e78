-- deferred rule 9
-- Made beside the running system.
drop index concurrently if exists image_by_detail; create index concurrently image_by_detail on image (detail);
