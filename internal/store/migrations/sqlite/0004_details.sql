-- authorization_details that were granted (RFC 9396). A column with a constant default, which neither engine writes row by
-- row, and a step of its own: what else is new must not hold the busiest table meanwhile.
ALTER TABLE sessions ADD COLUMN details TEXT NOT NULL DEFAULT '';
