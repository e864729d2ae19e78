-- What receivers of DICOM keep: requests for storage commitment (PS3.4, annex J) until their report was taken or given up, and
-- which dead images are being stored once more.
--
-- New tables only: nothing that is there is read or locked.

create table commitment (
  id              uuid    not null constraint commitment_pk primary key,
  site            text    not null,
  -- Who asked: AE titles, address, and the SHA-256 of the certificate that was shown.
  title           text    not null,
  called          text    not null,
  host            text    not null,
  certificate     bytea,
  -- Null once it was given up.
  transaction_uid text,
  asked_at        bigint  not null,
  -- When the report is due; of one that is held, when the lease lapses.
  due_at          bigint  not null,
  -- Counted up with each claim.
  fence           bigint  not null,
  tries           bigint  not null,
  given_up_at     bigint,
  constraint commitment_once unique (site, title, transaction_uid),
  constraint commitment_names_nothing check ((given_up_at is null) = (transaction_uid is not null))
);
create index commitment_due on commitment (due_at, id) where given_up_at is null;

-- The instances that a request names.
create table commitment_instance (
  commitment      uuid    not null constraint commitment_instance_of references commitment (id) on delete cascade,
  place           bigint  not null,
  sop_class       text    not null,
  uid             text    not null,
  constraint commitment_instance_pk primary key (commitment, place)
);
create index commitment_instance_by_uid on commitment_instance (uid);

-- Images that failed, were removed or erased, and whose bytes a receiver is storing once more: until when nobody else does.
create table resend (
  image           uuid    not null constraint resend_pk primary key,
  held_until      bigint  not null
);
create index resend_by_time on resend (held_until);
