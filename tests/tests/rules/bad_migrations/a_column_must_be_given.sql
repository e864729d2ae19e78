-- sqlite rule 2
alter table image add column origin text not null;
