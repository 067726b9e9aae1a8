-- Clients that no operator declared, and what else came with them.

-- registered: how a client came here that no operator declared; '' for one that is declared.
ALTER TABLE clients ADD COLUMN registered TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN registered_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN token_hash BYTEA; -- of the registration access token
ALTER TABLE clients ADD COLUMN metadata TEXT NOT NULL DEFAULT ''; -- as it is registered: JSON, RFC 7591 section 3.2.1
ALTER TABLE clients ADD COLUMN fetched_at BIGINT NOT NULL DEFAULT 0; -- of a client that is named by its document: when it was read
ALTER TABLE clients ADD COLUMN fresh_until BIGINT NOT NULL DEFAULT 0; -- and until when it need not be read again
CREATE INDEX clients_unused ON clients (used_at) WHERE registered <> '';

-- Initial access tokens: who may register clients, and how many more.
CREATE TABLE registration_tokens (
    id         BYTEA PRIMARY KEY,
    hash       BYTEA NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    uses_left  BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- Identities that were taken off an account: they do not join it again by an address. identity: SHA-256 of issuer and
-- subject. Of one account the newest hundred are kept.
CREATE TABLE unlinked (
    account_id  BYTEA NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    identity    BYTEA NOT NULL,
    unlinked_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, identity)
);

-- What one client is to be told is found without reading what others are: one that stays silent keeps many waiting.
CREATE INDEX notices_client ON notices (client_id, due_at);
DROP INDEX notices_due;
