-- postgres rule 5
create index image_by_detail on image (detail);
