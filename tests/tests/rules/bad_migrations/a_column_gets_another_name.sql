-- postgres rule 2
alter table image rename column detail to reason_detail;
