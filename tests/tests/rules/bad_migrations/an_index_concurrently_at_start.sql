-- postgres rule 5
create index concurrently image_by_detail on image (detail);
