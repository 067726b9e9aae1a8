-- Times are unix microseconds, zero where there is none. Ids are 16 bytes.

CREATE TABLE catalog (
    id      SMALLINT PRIMARY KEY CHECK (id = 1),
    version BIGINT NOT NULL
);
INSERT INTO catalog (id, version) VALUES (1, 0);

CREATE TABLE clients (
    id         TEXT PRIMARY KEY,
    declared   BOOLEAN NOT NULL,
    disabled   BOOLEAN NOT NULL,
    definition TEXT NOT NULL
);

CREATE TABLE resources (
    id         TEXT PRIMARY KEY,
    declared   BOOLEAN NOT NULL,
    definition TEXT NOT NULL
);

CREATE TABLE accounts (
    id         BYTEA PRIMARY KEY,
    state      SMALLINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE identities (
    id              BYTEA PRIMARY KEY,
    account_id      BYTEA NOT NULL REFERENCES accounts (id),
    provider        TEXT NOT NULL,
    issuer          TEXT NOT NULL,
    subject         TEXT NOT NULL,
    email           TEXT NOT NULL,
    email_verified  BOOLEAN NOT NULL,
    name            TEXT NOT NULL,
    created_at      BIGINT NOT NULL,
    last_used_at    BIGINT NOT NULL,
    grant_client_id TEXT NOT NULL DEFAULT '',
    grant_aad       TEXT NOT NULL DEFAULT '',
    grant_sealed    BYTEA,
    UNIQUE (issuer, subject)
) WITH (fillfactor = 80);
CREATE INDEX identities_account ON identities (account_id);

CREATE TABLE devices (
    id         BYTEA PRIMARY KEY,
    client_id  TEXT NOT NULL,
    jkt        TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (client_id, jkt)
) WITH (fillfactor = 80);

-- A refresh must be a heap-only update: nothing it changes is in an index, a page keeps room for the next version,
-- and what it changes lies together, so that the WAL holds one short run of bytes.
-- client_id has no foreign key: every sign-in would lock the one row of its client. Clients are never deleted.
-- identity_id has none either: it tells who started the session, also after that identity was unlinked.
CREATE TABLE sessions (
    id                  BYTEA PRIMARY KEY,
    account_id          BYTEA NOT NULL REFERENCES accounts (id),
    identity_id         BYTEA NOT NULL,
    device_id           BYTEA REFERENCES devices (id),
    client_id           TEXT NOT NULL,
    device_name         TEXT NOT NULL,
    tier                SMALLINT NOT NULL,
    jkt                 TEXT NOT NULL,
    scope               TEXT NOT NULL,
    resources           TEXT NOT NULL,
    secret_hash         BYTEA NOT NULL,
    created_at          BIGINT NOT NULL,
    auth_time           BIGINT NOT NULL,
    absolute_expires_at BIGINT NOT NULL,
    idle_for            BIGINT NOT NULL,
    -- changed by every refresh
    idle_expires_at     BIGINT NOT NULL,
    rotated_at          BIGINT NOT NULL,
    prev_rotated_at     BIGINT NOT NULL,
    counter             BIGINT NOT NULL,
    key_id              BIGINT NOT NULL,
    format              SMALLINT NOT NULL,
    -- changed seldom
    state               SMALLINT NOT NULL,
    late_streak         SMALLINT NOT NULL,
    late_counter        BIGINT NOT NULL,
    ended_at            BIGINT NOT NULL,
    end_reason          TEXT NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_device ON sessions (device_id) WHERE device_id IS NOT NULL;

CREATE TABLE nonces (
    hash        BYTEA PRIMARY KEY,
    expires_at  BIGINT NOT NULL,
    consumed_at BIGINT NOT NULL,
    fingerprint BYTEA NOT NULL,
    key_id      BIGINT NOT NULL,
    session_id  BYTEA
);
CREATE INDEX nonces_expiry ON nonces (expires_at);

CREATE TABLE outbox (
    id          BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        TEXT NOT NULL,
    identity_id BYTEA NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    aad         TEXT NOT NULL,
    payload     BYTEA NOT NULL,
    attempts    INTEGER NOT NULL,
    created_at  BIGINT NOT NULL,
    due_at      BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX outbox_due ON outbox (due_at);
CREATE INDEX outbox_identity ON outbox (identity_id);

CREATE TABLE keys (
    id         BIGINT PRIMARY KEY,
    use        TEXT NOT NULL,
    alg        TEXT NOT NULL,
    public     BYTEA NOT NULL,
    sealed     BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    active_at  BIGINT NOT NULL,
    retired_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    dropped_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id           BYTEA PRIMARY KEY,
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    hash         BYTEA NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    revoked_at   BIGINT NOT NULL
);

-- The audit trail outlives what it speaks of.
CREATE TABLE events (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at         BIGINT NOT NULL,
    action     TEXT NOT NULL,
    actor      TEXT NOT NULL,
    account_id BYTEA,
    session_id BYTEA,
    client_id  TEXT NOT NULL,
    reason     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    ip         TEXT NOT NULL
);
CREATE INDEX events_account ON events (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX events_session ON events (session_id) WHERE session_id IS NOT NULL;
