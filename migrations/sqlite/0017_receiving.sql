-- What receivers of DICOM keep: requests for storage commitment (PS3.4, annex J) until their report was taken or given up, and
-- which dead images are being stored once more.
--
-- New tables only: nothing that is there is read or locked.

create table commitment (
  id              blob    not null constraint commitment_pk primary key,
  site            text    not null,
  -- Who asked: AE titles, address, and the SHA-256 of the certificate that was shown.
  title           text    not null,
  called          text    not null,
  host            text    not null,
  certificate     blob,
  -- Null once it was given up.
  transaction_uid text,
  asked_at        integer not null,
  -- When the report is due; of one that is held, when the lease lapses.
  due_at          integer not null,
  -- Counted up with each claim.
  fence           integer not null,
  tries           integer not null,
  given_up_at     integer,
  constraint commitment_once unique (site, title, transaction_uid),
  constraint commitment_names_nothing check ((given_up_at is null) = (transaction_uid is not null))
) strict;
create index commitment_due on commitment (due_at, id) where given_up_at is null;

-- The instances that a request names.
create table commitment_instance (
  commitment      blob    not null constraint commitment_instance_of references commitment (id) on delete cascade,
  place           integer not null,
  sop_class       text    not null,
  uid             text    not null,
  constraint commitment_instance_pk primary key (commitment, place)
) strict;
create index commitment_instance_by_uid on commitment_instance (uid);

-- Images that failed, were removed or erased, and whose bytes a receiver is storing once more: until when nobody else does.
create table resend (
  image           blob    not null constraint resend_pk primary key,
  held_until      integer not null
) strict;
create index resend_by_time on resend (held_until);

-- Names of patients in several scripts: a search looks at what each of their groups begins with.
create index patient_by_groups on patient (name_key) where replace(name_key, '=', '') <> name_key;
