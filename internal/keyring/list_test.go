package keyring

import (
	"testing"
	"time"

	"github.com/countersign/countersign/internal/domain"
)

// TestWhatPeopleSeeOfAKey: the times say what became of it, or will.
func TestWhatPeopleSeeOfAKey(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	never := time.Time{}
	at := func(days int) time.Time { return now.Add(time.Duration(days) * day) }
	key := func(active, retired, expires, dropped time.Time) domain.Key {
		return domain.Key{Use: domain.KeyUseSign, Alg: "ES256", ActiveAt: active, RetiredAt: retired, ExpiresAt: expires, DroppedAt: dropped}
	}
	data := key(at(-10), at(-5), never, never)
	data.Use = domain.KeyUseData
	old := data
	old.RetiredAt = at(-401)
	old.ActiveAt = at(-490)
	for _, c := range []struct {
		name                     string
		row                      domain.Key
		state                    State
		active, retired, expires time.Time
	}{
		{"the next one", key(at(80), never, never, never), Next, at(80), never, never},
		{"the current one, whose end is appointed", key(at(-10), at(80), at(81), never), Active, at(-10), at(80), at(81)},
		{"a retired one", key(at(-90), at(0), at(1), never), Retired, at(-90), at(0), at(1)},
		{"an expired one", key(at(-90), at(-2), at(-1), never), Expired, at(-90), at(-2), at(-1)},
		{"overtaken before its turn", key(at(80), at(-1), at(1), never), Retired, never, at(-1), at(1)},
		{"soon overtaken before its turn", key(at(80), at(1), at(2), never), Retired, never, at(1), at(2)},
		{"dropped in its turn", key(at(-10), at(80), at(81), at(-1)), Dropped, at(-10), at(-1), at(-1)},
		{"dropped with no end appointed", key(at(-10), never, never, at(-1)), Dropped, at(-10), at(-1), at(-1)},
		{"dropped before its turn", key(at(80), never, never, at(-1)), Dropped, never, at(-1), at(-1)},
		{"dropped after its turn", key(at(-90), at(-3), at(-2), at(-1)), Dropped, at(-90), at(-3), at(-2)},
		{"a data key after its turn", data, Retired, at(-10), at(-5), at(395)},
		{"a data key long after its turn", old, Expired, at(-490), at(-401), at(-1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &Ring{o: Options{}.withDefaults()}
			got := r.listed(c.row, now)
			if got.State != c.state || !got.ActiveAt.Equal(c.active) || !got.RetiredAt.Equal(c.retired) || !got.ExpiresAt.Equal(c.expires) {
				t.Errorf("%s, in use from %s to %s, accepted until %s; want %s, %s, %s, %s", got.State, got.ActiveAt, got.RetiredAt,
					got.ExpiresAt, c.state, c.active, c.retired, c.expires)
			}
		})
	}
}

func TestTheListAfterSeveralRotations(t *testing.T) {
	onBothEngines(t, func(t *testing.T, s *site) {
		r := s.node(t, Options{})
		start := s.now()
		turn(t, r)
		s.step(day)
		if err := r.Rotate(t.Context(), true, domain.Event{}); err != nil { // at once, where day 90 was appointed
			t.Fatal(err)
		}
		s.step(90 * day)
		turn(t, r)
		s.step(time.Hour)
		list, err := r.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		days := func(n int) time.Time { return start.Add(time.Duration(n) * day) }
		want := []struct {
			state           State
			active, retired time.Time
		}{{Next, days(181), time.Time{}}, {Active, days(91), days(181)}, {Retired, days(1), days(91)}, {Expired, days(0), days(1)}}
		for _, k := range allKinds {
			i := 0
			for _, row := range list {
				if !k.has(row.Key) {
					continue
				}
				w := want[i]
				expires := time.Time{}
				if !w.retired.IsZero() && k.use == domain.KeyUseSign {
					expires = w.retired.Add(25 * time.Hour)
				} else if !w.retired.IsZero() {
					expires = w.retired.Add(400 * day)
				}
				if k.use == domain.KeyUseData && w.state == Expired {
					w.state = Retired
				}
				if row.State != w.state || !row.ActiveAt.Equal(w.active) || !row.RetiredAt.Equal(w.retired) || !row.ExpiresAt.Equal(expires) {
					t.Errorf("%s %d: %s, in use from %s to %s, accepted until %s", k.alg, i, row.State, row.ActiveAt, row.RetiredAt, row.ExpiresAt)
				}
				i++
			}
			if i != len(want) {
				t.Errorf("%s: %d keys", k.alg, i)
			}
		}
	})
}
