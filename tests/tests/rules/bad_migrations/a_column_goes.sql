-- sqlite rule 2
alter table image drop column detail;
