-- postgres rule 5
alter table image add column token uuid default gen_random_uuid();
