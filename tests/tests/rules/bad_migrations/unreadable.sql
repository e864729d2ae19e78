-- postgres rule 0
create table;
