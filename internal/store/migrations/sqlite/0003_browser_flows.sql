-- The browser flows. Nothing here touches a table that is in use but to add columns with a constant default, which
-- neither engine writes row by row; what would want an index there has a table of its own.
-- Sessions come first, so that nothing else is held while this waits for the busiest table.

ALTER TABLE sessions ADD COLUMN browser_id BLOB;
ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN claims TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN notify INTEGER NOT NULL DEFAULT 0;

ALTER TABLE accounts ADD COLUMN profile TEXT NOT NULL DEFAULT '';

-- Addresses whose owner an identity is for certain: proved by a code, or vouched for by the provider that gives them out.
CREATE TABLE emails (
    identity_id BLOB PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    account_id  BLOB NOT NULL,
    address     TEXT NOT NULL
) STRICT;
CREATE INDEX emails_address ON emails (address);
CREATE INDEX emails_account ON emails (account_id);

-- Browsers signed in to an account: single sign-on.
CREATE TABLE browsers (
    id          BLOB PRIMARY KEY,
    secret_hash BLOB NOT NULL,
    previous_secret_hash BLOB, -- the cookie before: good for signing out and for signing in anew, for nothing else
    account_id  BLOB NOT NULL REFERENCES accounts (id),
    identity_id BLOB NOT NULL,
    auth_time   INTEGER NOT NULL,
    amr         TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    ends_at     INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX browsers_account ON browsers (account_id);

-- One trip through the pages is one row, updated in place.
CREATE TABLE flows (
    id          BLOB PRIMARY KEY,
    kind        INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    visitor     BLOB NOT NULL,
    client_id   TEXT NOT NULL,
    request     TEXT NOT NULL,
    progress    BLOB NOT NULL,
    attempts    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    account_id  BLOB,
    identity_id BLOB,
    browser_id  BLOB,
    auth_time   INTEGER NOT NULL,
    amr         TEXT NOT NULL,
    scope       TEXT NOT NULL,
    code_hash   BLOB,
    session_id  BLOB,
    redeemed_at INTEGER NOT NULL,
    user_code   TEXT NOT NULL,
    poll_every  INTEGER NOT NULL,
    polled_at   INTEGER NOT NULL,
    too_soon    INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX flows_code ON flows (code_hash) WHERE code_hash IS NOT NULL;
CREATE UNIQUE INDEX flows_user_code ON flows (user_code) WHERE user_code <> '';
CREATE INDEX flows_expiry ON flows (expires_at);
CREATE INDEX flows_account ON flows (account_id) WHERE account_id IS NOT NULL;

CREATE TABLE consents (
    account_id BLOB NOT NULL REFERENCES accounts (id),
    client_id  TEXT NOT NULL,
    scope      TEXT NOT NULL,
    resources  TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, client_id)
) STRICT;

CREATE TABLE passkeys (
    identity_id   BLOB PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    account_id    BLOB NOT NULL,
    credential_id BLOB NOT NULL UNIQUE,
    record        TEXT NOT NULL,
    sign_count    INTEGER NOT NULL,
    name          TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    last_used_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX passkeys_account ON passkeys (account_id);

-- Strict limits that all nodes share: how often something happened until a moment.
CREATE TABLE tallies (
    key        BLOB PRIMARY KEY,
    count      INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX tallies_expiry ON tallies (expires_at);

-- Back-channel logouts that clients are still to be told of.
CREATE TABLE notices (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id  TEXT NOT NULL,
    account_id BLOB NOT NULL,
    session_id BLOB NOT NULL,
    attempts   INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX notices_due ON notices (due_at);
