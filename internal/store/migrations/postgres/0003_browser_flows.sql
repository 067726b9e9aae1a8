-- The browser flows. Nothing here touches a table that is in use but to add columns with a constant default, which
-- neither engine writes row by row; what would want an index there has a table of its own.
-- Sessions come first, so that nothing else is held while this waits for the busiest table.

ALTER TABLE sessions ADD COLUMN browser_id BYTEA;
ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN claims TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN notify BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE accounts ADD COLUMN profile TEXT NOT NULL DEFAULT '';

-- Addresses whose owner an identity is for certain: proved by a code, or vouched for by the provider that gives them out.
CREATE TABLE emails (
    identity_id BYTEA PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    account_id  BYTEA NOT NULL,
    address     TEXT NOT NULL
);
CREATE INDEX emails_address ON emails (address);
CREATE INDEX emails_account ON emails (account_id);

-- Browsers signed in to an account: single sign-on.
CREATE TABLE browsers (
    id          BYTEA PRIMARY KEY,
    secret_hash BYTEA NOT NULL,
    previous_secret_hash BYTEA, -- the cookie before: good for signing out and for signing in anew, for nothing else
    account_id  BYTEA NOT NULL REFERENCES accounts (id),
    identity_id BYTEA NOT NULL,
    auth_time   BIGINT NOT NULL,
    amr         TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    ends_at     BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL
);
CREATE INDEX browsers_account ON browsers (account_id);

-- One trip through the pages is one row, updated in place.
CREATE TABLE flows (
    id          BYTEA PRIMARY KEY,
    kind        SMALLINT NOT NULL,
    state       SMALLINT NOT NULL,
    version     BIGINT NOT NULL,
    visitor     BYTEA NOT NULL,
    client_id   TEXT NOT NULL,
    request     TEXT NOT NULL,
    progress    BYTEA NOT NULL,
    attempts    SMALLINT NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    account_id  BYTEA,
    identity_id BYTEA,
    browser_id  BYTEA,
    auth_time   BIGINT NOT NULL,
    amr         TEXT NOT NULL,
    scope       TEXT NOT NULL,
    code_hash   BYTEA,
    session_id  BYTEA,
    redeemed_at BIGINT NOT NULL,
    user_code   TEXT NOT NULL,
    poll_every  BIGINT NOT NULL,
    polled_at   BIGINT NOT NULL,
    too_soon    BOOLEAN NOT NULL
);
CREATE UNIQUE INDEX flows_code ON flows (code_hash) WHERE code_hash IS NOT NULL;
CREATE UNIQUE INDEX flows_user_code ON flows (user_code) WHERE user_code <> '';
CREATE INDEX flows_expiry ON flows (expires_at);
CREATE INDEX flows_account ON flows (account_id) WHERE account_id IS NOT NULL;

CREATE TABLE consents (
    account_id BYTEA NOT NULL REFERENCES accounts (id),
    client_id  TEXT NOT NULL,
    scope      TEXT NOT NULL,
    resources  TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, client_id)
);

CREATE TABLE passkeys (
    identity_id   BYTEA PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    account_id    BYTEA NOT NULL,
    credential_id BYTEA NOT NULL UNIQUE,
    record        TEXT NOT NULL,
    sign_count    BIGINT NOT NULL,
    name          TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL
);
CREATE INDEX passkeys_account ON passkeys (account_id);

-- Strict limits that all nodes share: how often something happened until a moment.
CREATE TABLE tallies (
    key        BYTEA PRIMARY KEY,
    count      BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX tallies_expiry ON tallies (expires_at);

-- Back-channel logouts that clients are still to be told of.
CREATE TABLE notices (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id  TEXT NOT NULL,
    account_id BYTEA NOT NULL,
    session_id BYTEA NOT NULL,
    attempts   SMALLINT NOT NULL,
    created_at BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX notices_due ON notices (due_at);
