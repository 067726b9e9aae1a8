package passkey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// Assertion is a sign-in that was judged good. Whether it is the authenticator's own or a copy's shows in the counter:
// if SignCount or the stored count is not zero, it must be greater than the stored one, in the statement that stores
// it (§7.2 step 22).
type Assertion struct {
	CredentialID  []byte
	AccountHandle []byte          // as find returned it, and the authenticator confirmed
	Record        json.RawMessage // to store in place of the old one
	SignCount     uint32
	UserVerified  bool // always: it is required; for amr and acr to rest on what was judged
}

// Find returns the record of a credential and the handle of the account it belongs to. FinishLogin passes its error on
// unwrapped.
type Find func(credentialID, userHandle []byte) (record json.RawMessage, accountHandle []byte, err error)

const recordVersion = 1

var errRecord = errors.New("no passkey record of ours")

// record is what is kept of a passkey: our own few fields, so that the library's may change.
type record struct {
	Version        int    `json:"v"`
	Key            []byte `json:"key"` // COSE_Key
	Alg            int64  `json:"alg"`
	BackupEligible bool   `json:"be"`
	BackupState    bool   `json:"bs"`
}

// BeginLogin returns the options for the browser (PublicKeyCredentialRequestOptionsJSON, the value of `publicKey`) and
// the state to keep for FinishLogin. No credential is named, so that the options tell nothing of who has an account;
// the page may use them with conditional mediation.
func (v *Verifier) BeginLogin(now time.Time) (options json.RawMessage, kept []byte, err error) {
	assertion, session, err := v.rp.BeginDiscoverableLogin()
	if err != nil {
		return nil, nil, fmt.Errorf("begin passkey sign-in: %w", err)
	}
	return encode(now, assertion.Response, state{Kind: kindGet, Challenge: session.Challenge})
}

// FinishLogin judges the browser's answer (AuthenticationResponseJSON). The caller has made sure that the state is one
// of its own, belongs to this browser and has not been used. find is asked once, before the signature is checked.
func (v *Verifier) FinishLogin(now time.Time, kept, response []byte, find Find) (*Assertion, error) {
	s, err := recall(kept, kindGet, now)
	if err != nil {
		return nil, err
	}
	if err := v.checkForm(response, s, "signature"); err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, verdict(err)
	}
	if len(parsed.Response.UserHandle) == 0 { // §7.2 step 6: without it the account would be the client's word
		return nil, invalid("userHandle is missing")
	}
	stored, account, err := find(parsed.RawID, parsed.Response.UserHandle)
	if err != nil {
		return nil, err
	}
	r, err := readRecord(stored)
	if err != nil {
		return nil, err
	}
	if err := v.validate(s, parsed, r, account); err != nil {
		return nil, err
	}
	return newAssertion(parsed, r, account)
}

func (v *Verifier) validate(s state, parsed *protocol.ParsedCredentialAssertionData, r record, account []byte) error {
	if alg, err := checkKey(r.Key); err != nil || alg != r.Alg {
		return fmt.Errorf("%w: its key does not fit", errRecord)
	}
	owner := holder{user: User{Handle: account}, credential: webauthn.Credential{
		ID: parsed.RawID, PublicKey: r.Key, Flags: webauthn.CredentialFlags{BackupEligible: r.BackupEligible},
	}}
	one := func(_, _ []byte) (webauthn.User, error) { return owner, nil }
	session := webauthn.SessionData{
		Challenge: s.Challenge, RelyingPartyID: v.RPID(), UserVerification: protocol.VerificationRequired,
	}
	if _, _, err := v.rp.ValidatePasskeyLogin(one, session, parsed); err != nil {
		return verdict(err)
	}
	return nil
}

func newAssertion(parsed *protocol.ParsedCredentialAssertionData, r record, account []byte) (*Assertion, error) {
	data := parsed.Response.AuthenticatorData
	r.BackupState = data.Flags.HasBackupState()
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write passkey record: %w", err)
	}
	return &Assertion{
		CredentialID: parsed.RawID, AccountHandle: account, Record: raw, SignCount: data.Counter,
		UserVerified: data.Flags.HasUserVerified(),
	}, nil
}

func readRecord(raw json.RawMessage) (record, error) {
	var r record
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&r); err != nil {
		return r, fmt.Errorf("%w: %w", errRecord, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) || r.Version != recordVersion {
		return r, fmt.Errorf("%w: version %d", errRecord, r.Version)
	}
	return r, nil
}

// holder is a user as the library wants one.
type holder struct {
	user       User
	credential webauthn.Credential
}

// WebAuthnID implements webauthn.User.
func (h holder) WebAuthnID() []byte { return h.user.Handle }

// WebAuthnName implements webauthn.User.
func (h holder) WebAuthnName() string { return h.user.Name }

// WebAuthnDisplayName implements webauthn.User.
func (h holder) WebAuthnDisplayName() string { return h.user.DisplayName }

// WebAuthnCredentials implements webauthn.User.
func (h holder) WebAuthnCredentials() []webauthn.Credential {
	return []webauthn.Credential{h.credential}
}
