-- postgres rule 5
alter table image add constraint image_size check (size >= 0);
