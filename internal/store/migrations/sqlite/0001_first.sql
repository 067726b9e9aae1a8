-- Times are unix microseconds, zero where there is none. Ids are 16 bytes.

CREATE TABLE catalog (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO catalog (id, version) VALUES (1, 0);

CREATE TABLE clients (
    id         TEXT PRIMARY KEY,
    declared   INTEGER NOT NULL,
    disabled   INTEGER NOT NULL,
    definition TEXT NOT NULL
) STRICT;

CREATE TABLE resources (
    id         TEXT PRIMARY KEY,
    declared   INTEGER NOT NULL,
    definition TEXT NOT NULL
) STRICT;

CREATE TABLE accounts (
    id         BLOB PRIMARY KEY,
    state      INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE identities (
    id              BLOB PRIMARY KEY,
    account_id      BLOB NOT NULL REFERENCES accounts (id),
    provider        TEXT NOT NULL,
    issuer          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    email           TEXT NOT NULL,
    email_verified  INTEGER NOT NULL,
    name            TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    last_used_at    INTEGER NOT NULL,
    grant_client_id TEXT NOT NULL DEFAULT '',
    grant_aad       TEXT NOT NULL DEFAULT '',
    grant_sealed    BLOB,
    UNIQUE (issuer, subject)
) STRICT;
CREATE INDEX identities_account ON identities (account_id);

CREATE TABLE devices (
    id         BLOB PRIMARY KEY,
    client_id  TEXT NOT NULL,
    jkt        TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (client_id, jkt)
) STRICT;

-- Nothing a refresh changes is in an index. client_id has no foreign key, as on PostgreSQL; clients are never deleted.
-- identity_id has none either: it tells who started the session, also after that identity was unlinked.
CREATE TABLE sessions (
    id                  BLOB PRIMARY KEY,
    account_id          BLOB NOT NULL REFERENCES accounts (id),
    identity_id         BLOB NOT NULL,
    device_id           BLOB REFERENCES devices (id),
    client_id           TEXT NOT NULL,
    device_name         TEXT NOT NULL,
    tier                INTEGER NOT NULL,
    jkt                 TEXT NOT NULL,
    scope               TEXT NOT NULL,
    resources           TEXT NOT NULL,
    secret_hash         BLOB NOT NULL,
    created_at          INTEGER NOT NULL,
    auth_time           INTEGER NOT NULL,
    absolute_expires_at INTEGER NOT NULL,
    idle_for            INTEGER NOT NULL,
    -- changed by every refresh
    idle_expires_at     INTEGER NOT NULL,
    rotated_at          INTEGER NOT NULL,
    prev_rotated_at     INTEGER NOT NULL,
    counter             INTEGER NOT NULL,
    key_id              INTEGER NOT NULL,
    format              INTEGER NOT NULL,
    -- changed seldom
    state               INTEGER NOT NULL,
    late_streak         INTEGER NOT NULL,
    late_counter        INTEGER NOT NULL,
    ended_at            INTEGER NOT NULL,
    end_reason          TEXT NOT NULL
) STRICT;
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_device ON sessions (device_id) WHERE device_id IS NOT NULL;

CREATE TABLE nonces (
    hash        BLOB PRIMARY KEY,
    expires_at  INTEGER NOT NULL,
    consumed_at INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    key_id      INTEGER NOT NULL,
    session_id  BLOB
) STRICT;
CREATE INDEX nonces_expiry ON nonces (expires_at);

CREATE TABLE outbox (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT NOT NULL,
    identity_id BLOB NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    aad         TEXT NOT NULL,
    payload     BLOB NOT NULL,
    attempts    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    due_at      INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_due ON outbox (due_at);
CREATE INDEX outbox_identity ON outbox (identity_id);

CREATE TABLE keys (
    id         INTEGER PRIMARY KEY,
    use        TEXT NOT NULL,
    alg        TEXT NOT NULL,
    public     BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    active_at  INTEGER NOT NULL,
    retired_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    dropped_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id           BLOB PRIMARY KEY,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    hash         BLOB NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    revoked_at   INTEGER NOT NULL
) STRICT;

-- The audit trail outlives what it speaks of.
CREATE TABLE events (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    action     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    account_id BLOB,
    session_id BLOB,
    client_id  TEXT NOT NULL,
    reason     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    ip         TEXT NOT NULL
) STRICT;
CREATE INDEX events_account ON events (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX events_session ON events (session_id) WHERE session_id IS NOT NULL;
