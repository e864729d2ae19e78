-- Names of patients in several scripts: a search looks at what each of their groups begins with. Made beside the running system;
-- without it such a search reads the table whole.
drop index concurrently if exists patient_by_groups;
create index concurrently patient_by_groups on patient (name_key collate "C")
  where replace(name_key, '=', '') <> name_key;
