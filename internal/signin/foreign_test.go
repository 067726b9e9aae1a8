package signin_test

import (
	"encoding/base64"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/test/house"
)

// elsewhere mints nonces as another installation does, whose data key happens to have the same id as ours.
func elsewhere(t *testing.T, h *house.House) *signin.Service {
	t.Helper()
	born := time.Unix(int64(h.Ring.Current()), 0)
	db, err := store.Open(t.Context(), store.Options{
		URL: "sqlite:" + filepath.Join(t.TempDir(), "elsewhere.db"), Clock: func() time.Time { return born },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	master, err := keyring.ParseMaster([]byte(keyring.NewMasterLine()))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.Open(t.Context(), db, master, keyring.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if ring.Current() != h.Ring.Current() {
		t.Fatalf("the ids are %d and %d, so nothing would be shown", ring.Current(), h.Ring.Current())
	}
	return &signin.Service{DB: db, Keys: ring}
}

// ID08: a nonce that is right in everything but that somebody else issued it.
func TestID08ANonceOfAnotherInstallationIsRefused(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		other := elsewhere(t, h)
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		jkt := ada.in.Session.JKT
		foreign := func(p signin.Purpose) signin.Evidence {
			t.Helper()
			nonce, err := other.Challenge(h.DB.Now(), house.Todo, jkt, p)
			if err != nil {
				t.Fatal(err)
			}
			return ada.answering(t, nonce, "ada")
		}
		r := h.Request(t, h.Google, house.GoogleToken("ada"), house.Todo, jkt)
		r.Evidence = foreign(signin.PurposeSignIn)
		wantRefused(t, h, r, oauth.InvalidRequest)
		ada.unmoved(t, func() {
			_, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), foreign(signin.PurposeLink))
			wantCode(t, err, oauth.InvalidRequest)
			m, e := ada.manage(t), foreign(signin.PurposeReauth)
			m.Reauth = &e
			_, err = h.SignIn.EndOthers(t.Context(), m)
			wantStepUp(t, err)
		})
	})
}

// ID08 and the third clause of ID17: what was asked for to link, or to prove who is there, by somebody else.
func TestID17ANonceOfSomebodyElseNeitherLinksNorProves(t *testing.T) {
	house.OnBothEngines(t, func(t *testing.T, h *house.House) {
		ada := enter(t, h, h.Google, house.GoogleToken("ada"))
		enter(t, h, h.Google, house.GoogleToken("ada")) // a second session, which EndOthers would end
		asked := func(clientID, jkt string, p signin.Purpose) string {
			t.Helper()
			nonce, err := h.SignIn.Challenge(h.DB.Now(), clientID, jkt, p)
			if err != nil {
				t.Fatal(err)
			}
			return nonce
		}
		for p, try := range map[signin.Purpose]func(t *testing.T, nonce string, good bool){
			signin.PurposeLink: func(t *testing.T, nonce string, good bool) {
				linked, _, err := h.SignIn.Link(t.Context(), ada.fresh(t), ada.answering(t, nonce, "ada"))
				if !good {
					wantCode(t, err, oauth.InvalidRequest)
				} else if err != nil || linked.ID != ada.in.Session.IdentityID {
					t.Errorf("the phone's own nonce: %+v, %v", linked, err)
				}
			},
			signin.PurposeReauth: func(t *testing.T, nonce string, good bool) {
				m, e := ada.manage(t), ada.answering(t, nonce, "ada")
				m.Reauth = &e
				n, err := h.SignIn.EndOthers(t.Context(), m)
				if !good {
					wantStepUp(t, err)
				} else if err != nil || n != 1 {
					t.Errorf("the phone's own nonce: %d ended, %v", n, err)
				}
			},
		} {
			t.Run(string(p), func(t *testing.T) {
				own := asked(house.Todo, ada.in.Session.JKT, p)
				for name, nonce := range map[string]string{
					"asked for by another phone":       asked(house.Todo, h.Phone(t).JKT(), p),
					"asked for by another client":      asked(house.Notes, ada.in.Session.JKT, p),
					"its MAC flipped at the beginning": flipped(t, own, 26),
					"its MAC flipped at the end":       flipped(t, own, 41),
				} {
					t.Run(name, func(t *testing.T) { ada.unmoved(t, func() { try(t, nonce, false) }) })
				}
				try(t, own, true)
			})
		}
	})
}

// answering is what Google issues for a nonce, whoever asked for that.
func (p person) answering(t *testing.T, nonce, subject string) signin.Evidence {
	t.Helper()
	r := house.GoogleToken(subject)
	r.Nonce = nonce
	c, err := p.Google.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return signin.Evidence{SubjectToken: c.IDToken, Nonce: nonce}
}

// unmoved runs what must change no row, and end no session.
func (p person) unmoved(t *testing.T, do func()) {
	t.Helper()
	before := rows(t, p.House)
	live, err := p.DB.AccountSessions(t.Context(), p.in.Session.AccountID, true)
	if err != nil {
		t.Fatal(err)
	}
	do()
	after, err := p.DB.AccountSessions(t.Context(), p.in.Session.AccountID, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{before, live}, []any{rows(t, p.House), after}); diff != "" {
		t.Errorf("changed: %s", diff)
	}
}

// flipped changes one bit of a byte of a nonce.
func flipped(t *testing.T, nonce string, i int) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(raw) != 42 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	raw[i] ^= 1
	return base64.RawURLEncoding.EncodeToString(raw)
}
