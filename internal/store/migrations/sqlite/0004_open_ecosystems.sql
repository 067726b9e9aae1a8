-- Clients that no operator declared, and authorization_details. The columns have constant defaults, which neither engine
-- writes row by row; sessions come first, so that nothing else is held while this waits for the busiest table.

ALTER TABLE sessions ADD COLUMN details TEXT NOT NULL DEFAULT '';

-- registered: how a client came here that no operator declared; '' for one that is declared.
ALTER TABLE clients ADD COLUMN registered TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN registered_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN token_hash BLOB; -- of the registration access token
CREATE INDEX clients_unused ON clients (used_at) WHERE registered <> '';

-- Initial access tokens: who may register clients, and how many more.
CREATE TABLE registration_tokens (
    id         BLOB PRIMARY KEY,
    hash       BLOB NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    uses_left  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
