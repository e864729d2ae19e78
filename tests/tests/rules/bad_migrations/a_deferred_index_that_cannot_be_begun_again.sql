-- deferred rule 8
-- Made beside the running system.
create index concurrently image_by_detail on image (detail);
