package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/event"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

// errNoKey means that this node lacks a data key it just named itself.
var errNoKey = errors.New("data key missing from the ring")

// Native signs in with a provider's id_token (DESIGN section 4). The same request once more within 60 s, by the same
// DPoP key, returns the same session and the same refresh token: its answer may have been lost.
func (s *Service) Native(ctx context.Context, r Request) (*Result, error) {
	now := s.DB.Now()
	// 1. What the app made up.
	if err := CheckDeviceName(r.DeviceName); err != nil {
		return nil, err
	}
	// 2. What the provider says.
	by := caller{Client: r.Client, JKT: r.JKT, IP: r.IP}
	who, err := s.prove(ctx, now, by, r.Evidence, PurposeSignIn)
	if err != nil {
		in, err := s.outlived(ctx, now, by, r, err)
		if err != nil {
			return nil, s.disproved(ctx, now, by, err)
		}
		return in, nil
	}
	// 3. The session that would start.
	start := r.start(who.subject.AuthTime)
	row, refresh, err := s.Sessions.Prepare(now, start)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	// 4. One transaction: the nonce, the account, the identity, the device, the session, the outbox.
	write, err := s.write(ctx, now, r, who, row)
	if err != nil {
		return nil, err
	}
	done, err := s.DB.SignIn(ctx, write)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	// 5. The verdict.
	switch done.Verdict {
	case store.SignedIn:
		if len(write.Outbox) > 0 {
			s.wakeOutbox()
		}
		return &Result{Session: done.Session, Refresh: refresh, NewAccount: done.NewAccount}, nil
	case store.SignInRepeated:
		return s.again(ctx, done, start)
	}
	refusal, err := s.explain(ctx, r, who, done.Verdict)
	if err != nil {
		return nil, err
	}
	return nil, s.refused(ctx, now, by, who, refusal)
}

// again answers a repeat.
func (s *Service) again(ctx context.Context, done store.SignInResult, start session.Start) (*Result, error) {
	event.Add(ctx, "repeated", true)
	refresh, err := s.Sessions.Again(done.Session, done.KeyID, start)
	if err != nil {
		return nil, oauth.Unavailable(err)
	}
	return &Result{Session: done.Session, Refresh: refresh, Repeated: true}, nil
}

// outlived answers a request whose evidence was refused, if it is the repeat of one that was taken within the last 60 s:
// then the nonce's ten minutes, or the id_token's own time, ended between the two. Everything else, and so also a nonce
// that was never spent, gets the refusal. What counts is what was consumed: the same key, token bytes and nonce.
func (s *Service) outlived(ctx context.Context, now time.Time, by caller, r Request, refused error) (*Result, error) {
	if oauth.AsError(refused).Code != oauth.InvalidRequest || !r.repeatable() {
		return nil, refused
	}
	c, err := s.openNonce(ctx, by, r.Evidence.Nonce, PurposeSignIn)
	if err != nil {
		return nil, refused
	}
	key, ok := s.Keys.Key(c.keyID, keyring.Fingerprint)
	if !ok {
		return nil, oauth.Unavailable(errNoKey)
	}
	done, err := s.DB.RepeatedSignIn(ctx, now, store.Nonce{Hash: nonceHash(r.Evidence.Nonce), Fingerprint: r.fingerprint(key)})
	switch {
	case err != nil:
		return nil, oauth.Unavailable(err)
	case done.Verdict != store.SignInRepeated:
		return nil, refused
	}
	return s.again(ctx, done, r.start(time.Time{}))
}

// start is what the session needs to know. Its secret is derived only where the request may be repeated.
func (r *Request) start(authTime time.Time) session.Start {
	st := session.Start{
		Client: r.Client, JKT: r.JKT, Scope: r.Scope, Resources: r.Resources,
		DeviceName: r.DeviceName, AuthTime: authTime,
	}
	if r.repeatable() {
		st.SubjectToken, st.Nonce = r.Evidence.SubjectToken, r.Evidence.Nonce
	}
	return st
}

// repeatable tells whether only the caller can send this request again: without a key, whoever saw it could.
func (r *Request) repeatable() bool { return r.JKT != "" && r.Evidence.Nonce != "" }

// write gathers everything the sign-in may write.
func (s *Service) write(ctx context.Context, now time.Time, r Request, who *proven, row domain.Session) (store.SignIn, error) {
	nonce := who.nonce
	if r.repeatable() {
		// The fingerprint hangs on the key of the nonce, which a repeat carries again; the row names the key of the
		// session's secret, which may be another by the time of the repeat.
		key, ok := s.Keys.Key(nonce.KeyID, keyring.Fingerprint)
		if !ok {
			return store.SignIn{}, oauth.Unavailable(errNoKey)
		}
		nonce.Fingerprint = r.fingerprint(key)
		nonce.KeyID = row.Refresh.KeyID
	}
	w := store.SignIn{
		Now: now, Nonce: nonce, Session: row,
		NewAccount:  domain.Account{ID: domain.NewID[domain.AccountID](), State: domain.AccountActive, CreatedAt: now},
		NewProfile:  firstProfile(who.subject, who.name),
		NewIdentity: who.identity(now), Join: joining(who.subject),
		Event: audit(ctx, now, r.Client.ID),
	}
	if row.JKT != "" {
		w.NewDevice = domain.Device{
			ID: domain.NewID[domain.DeviceID](), ClientID: r.Client.ID, JKT: row.JKT, Name: r.DeviceName, CreatedAt: now,
		}
	}
	var err error
	w.Outbox, err = s.redemption(now, who, r.Evidence.ProviderCode, row.ID)
	return w, err
}

// fingerprint names the request, keyed: every field with its length, so that no two requests share one.
func (r *Request) fingerprint(key []byte) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	put := func(s string) {
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	token := sha256.Sum256([]byte(r.Evidence.SubjectToken))
	put(r.Client.ID)
	put(string(token[:]))
	put(r.JKT)
	for _, list := range [][]string{r.Scope, r.Resources} {
		put(oauth.JoinScope(list))
	}
	h.Sum(sum[:0])
	return sum
}

// explain says why the database refused a sign-in. The error is a fault of ours.
func (s *Service) explain(ctx context.Context, r Request, who *proven, v store.SignInVerdict) (refusal *oauth.Error, err error) {
	if v == store.NonceSpent && r.repeatable() {
		// Perhaps the repeat of one that was taken, whose account was disabled since: that is what there is to say.
		owner, err := s.DB.AccountByIdentity(ctx, who.subject.Issuer, who.subject.Subject)
		switch {
		case err == nil && owner.State != domain.AccountActive:
			v = store.AccountNotLive
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return nil, oauth.Unavailable(err)
		}
	}
	switch v {
	case store.NonceSpent:
		return oauth.E(oauth.InvalidRequest,
			"This nonce or id_token was used before. Ask POST /challenge for a new nonce and sign in with the provider again."), nil
	case store.AccountNotLive:
		return oauth.E(oauth.InvalidGrant, "This account is disabled. Signing in again will not help; the person has to ask for help."), nil
	case store.ClientNotLive:
		return oauth.DisabledClient(), nil
	case store.ClientUnknown:
		return oauth.UnknownClient(domain.ErrUndeclared), nil // this node has yet to hear of it
	}
	return oauth.E(oauth.ServerError, "The sign-in ended in a way this release does not know."), nil
}
