-- Clients that no operator declared, and what else came with them.

-- registered: how a client came here that no operator declared; '' for one that is declared.
ALTER TABLE clients ADD COLUMN registered TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN registered_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN token_hash BLOB; -- of the registration access token
ALTER TABLE clients ADD COLUMN metadata TEXT NOT NULL DEFAULT ''; -- as it is registered: JSON, RFC 7591 section 3.2.1
ALTER TABLE clients ADD COLUMN fetched_at INTEGER NOT NULL DEFAULT 0; -- of a client that is named by its document: when it was read
ALTER TABLE clients ADD COLUMN fresh_until INTEGER NOT NULL DEFAULT 0; -- and until when it need not be read again
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

-- Identities that were taken off an account: they do not join it again by an address. identity: SHA-256 of issuer and
-- subject. Of one account the newest hundred are kept.
CREATE TABLE unlinked (
    account_id  BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    identity    BLOB NOT NULL,
    unlinked_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, identity)
) STRICT;

-- What one client is to be told is found without reading what others are: one that stays silent keeps many waiting.
CREATE INDEX notices_client ON notices (client_id, due_at);
DROP INDEX notices_due;
