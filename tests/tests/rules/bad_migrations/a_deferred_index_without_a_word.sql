-- deferred rule 5, 8
create index image_by_detail on image (detail);
