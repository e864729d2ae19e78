-- postgres rule 2
alter table image alter column size type text;
