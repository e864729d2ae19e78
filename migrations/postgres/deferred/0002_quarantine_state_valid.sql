-- Rows from before `state` was added hold its default, so none can be at fault; the constraint says so from here on.
-- Validating reads the table once, beside readers and writers, and may be repeated.
alter table quarantine validate constraint quarantine_state;
