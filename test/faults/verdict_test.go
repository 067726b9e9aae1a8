package faults_test

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/standin"
)

// forge writes a token that the judges can read; word makes two of one counter differ.
func forge(s domain.SessionID, counter int, word byte) string {
	raw := make([]byte, 57)
	copy(raw[5:], s[:])
	binary.BigEndian.PutUint32(raw[21:], uint32(counter))
	raw[25] = word
	return "cs_rt_" + base64.RawURLEncoding.EncodeToString(raw) + "000000"
}

// tale is a history made up for the judges, one thing after another.
type tale struct {
	evidence
	second int
}

var (
	keyed   = domain.SessionID{1} // of a phone with a key
	keyless = domain.SessionID{2} // of one without
	over    = domain.SessionID{3} // signed out
	dawn    = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
)

func (e *tale) at() time.Time {
	e.second++
	return dawn.Add(time.Duration(e.second) * time.Second)
}

// presents tells of a refresh; status 0 is no answer.
func (e *tale) presents(s domain.SessionID, n, status int, code, received string) {
	c := call{phone: "phone", act: standin.Refreshing, presented: forge(s, n, 0), sent: e.at(), status: status, code: code, received: received}
	if status != 0 {
		c.heard = e.at()
	}
	e.add(c)
}

func (e *tale) refreshes(s domain.SessionID, n int) { e.presents(s, n, 200, "", forge(s, n+1, 0)) }

// good is a tale in which all is well: a lost answer and its retry, a phone without a key, a sign-out.
func good() *tale {
	e := &tale{evidence: evidence{grace: grace, told: &told{sessions: map[domain.SessionID][]call{}, keyless: map[string]bool{}}}}
	l := &e.ledger
	l.rows, l.nonces, l.audit = map[domain.SessionID]row{}, map[domain.SessionID]int{}, map[domain.SessionID][]entry{}
	l.identities, l.made, l.others = map[domain.AccountID]int{{1}: 1}, map[domain.AccountID][]string{{1}: {"account.create", "identity.link"}}, map[string]int{}
	for s, tier := range map[domain.SessionID]domain.Tier{keyed: domain.TierBound, keyless: domain.TierBearer, over: domain.TierBound} {
		l.rows[s], l.nonces[s] = row{tier: tier, state: domain.SessionLive}, 1
		l.audit[s] = []entry{{action: "session.start"}}
		e.add(call{phone: "phone", act: standin.SigningIn, sent: e.at(), heard: e.at(), status: 200, received: forge(s, 0, 0)})
	}
	e.refreshes(keyed, 0)
	e.presents(keyed, 1, 0, "", "")
	e.presents(keyed, 1, 503, "temporarily_unavailable", "")
	e.refreshes(keyed, 1)
	e.refreshes(keyless, 0)
	e.refreshes(over, 0)
	e.endings = []ending{{over, e.at(), e.at()}}
	e.presents(over, 1, 400, "invalid_grant", "")
	e.reaches(keyed, 2)
	e.reaches(keyless, 1)
	e.reaches(over, 1)
	e.ends(over, domain.EndedBySignOut)
	e.healed, e.phones = dawn, []string{"phone"}
	return e
}

func (e *tale) reaches(s domain.SessionID, counter int) {
	r := e.ledger.rows[s]
	r.counter = counter
	e.ledger.rows[s] = r
}

func (e *tale) ends(s domain.SessionID, why domain.EndReason) {
	r := e.ledger.rows[s]
	r.state, r.reason = domain.SessionEnded, why
	e.ledger.rows[s] = r
	e.ledger.audit[s] = append(e.ledger.audit[s], entry{"session.end", string(why)})
}

// TestJudgesFindWhatIsWrong: judges that find nothing would prove nothing.
func TestJudgesFindWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(*tale)
		broken string // the rules, in order
	}{
		{"nothing is wrong", func(*tale) {}, ""},
		{"a lost request was acted upon after all", func(e *tale) { e.presents(keyed, 2, 0, "", ""); e.reaches(keyed, 3) }, ""},
		{"a parent has two successors", func(e *tale) { e.presents(keyed, 1, 200, "", forge(keyed, 2, 1)) }, "I1"},
		{"a retry skips one", func(e *tale) { e.presents(keyed, 1, 200, "", forge(keyed, 3, 0)); e.reaches(keyed, 3) }, "I1 linearizable"},
		{"a session was opened without a nonce", func(e *tale) { delete(e.ledger.nonces, keyless) }, "I2"},
		{"two people were made of one", func(e *tale) { e.ledger.identities[domain.AccountID{1}] = 0 }, "I2"},
		{"an acknowledged rotation is lost", func(e *tale) { e.reaches(keyed, 1) }, "I3 linearizable"},
		{"an acknowledged sign-in is lost", func(e *tale) {
			delete(e.ledger.rows, keyless)
			delete(e.ledger.nonces, keyless)
			delete(e.ledger.audit, keyless)
		}, "I3"},
		{"a phone with a key is signed out", func(e *tale) { e.ends(keyed, domain.EndedByReuse) }, "I4 linearizable"},
		{"a thief is refused, and nothing follows", func(e *tale) { e.thefts = []theft{{keyless, e.at()}} }, "I5"},
		{"a thief's attempt may have ended it", func(e *tale) {
			e.refreshes(keyless, 1)
			e.presents(keyless, 0, 0, "", "")
			e.reaches(keyless, 2)
			e.ends(keyless, domain.EndedByReuse)
			e.thefts = []theft{{session: keyless}}
		}, ""},
		{"a retry ends a phone without a key", func(e *tale) {
			e.presents(keyless, 0, 0, "", "")
			e.ends(keyless, domain.EndedByReuse)
		}, "I4 linearizable"},
		{"an old parent is still good", func(e *tale) { e.second += 25 * 3600; e.refreshes(keyless, 0) }, "I5"},
		{"an ended session is good", func(e *tale) { e.refreshes(over, 1); e.reaches(over, 2) }, "I6 linearizable"},
		{"a live session is refused", func(e *tale) { e.presents(keyed, 2, 400, "invalid_grant", "") }, "I7 linearizable"},
		{"a client is refused", func(e *tale) { e.presents(keyed, 2, 401, "invalid_client", "") }, "I7"},
		{"something breaks", func(e *tale) { e.presents(keyed, 2, 500, "server_error", "") }, "I7"},
		{"somebody waits for ever", func(e *tale) { e.phones = append(e.phones, "another") }, "I8"},
		{"somebody waits too long", func(e *tale) { e.healed = e.at() }, "I8"},
		{"an ending is not in the trail", func(e *tale) { e.ledger.audit[over] = e.ledger.audit[over][:1] }, "I9"},
		{"the trail tells of an ending that was none", func(e *tale) {
			e.ledger.audit[keyed] = append(e.ledger.audit[keyed], entry{"session.end", "reuse"})
		}, "I9"},
		{"the trail tells of a session that is not there", func(e *tale) { e.ledger.audit[domain.SessionID{9}] = []entry{{action: "session.start"}} }, "I9"},
		{"a key is not in the trail", func(e *tale) { e.ledger.keys = 1 }, "I9"},
		{"a counter fell", func(e *tale) { e.saw(keyed, 3) }, "I10 linearizable"},
		{"a session has vanished", func(e *tale) { e.saw(domain.SessionID{9}, 0) }, "I10"},
		{"a token is current again", func(e *tale) { e.saw(keyed, 2); e.presents(keyed, 0, 200, "", forge(keyed, 1, 0)) }, linearizable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := good()
			tt.spoil(e)
			var got []string
			for _, b := range e.judge() {
				if !slices.Contains(got, b.rule) {
					got = append(got, b.rule)
				}
			}
			if strings.Join(got, " ") != tt.broken {
				t.Errorf("found %v, want %s: %v", got, tt.broken, e.judge())
			}
		})
	}
}

// saw tells that the row of a session once stood at a counter.
func (e *tale) saw(s domain.SessionID, counter int) {
	seen := look{from: e.at(), to: e.at(), rows: map[domain.SessionID]row{s: {tier: domain.TierBound, counter: counter, state: domain.SessionLive}}}
	e.looks = append(e.looks, seen)
}
