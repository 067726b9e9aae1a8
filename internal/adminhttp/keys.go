package adminhttp

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/keyring"
	"github.com/countersign/countersign/internal/store"
)

type keyBody struct {
	ID        uint32     `json:"id"`
	Kid       string     `json:"kid,omitempty"` // of signing keys
	Use       string     `json:"use"`           // sign | data
	Alg       string     `json:"alg"`
	State     string     `json:"state"` // next | active | retired | expired | dropped
	CreatedAt time.Time  `json:"created_at"`
	ActiveAt  *time.Time `json:"active_at,omitempty"` // not of a key that never had its turn
	RetiredAt *time.Time `json:"retired_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	DroppedAt *time.Time `json:"dropped_at,omitempty"`
}

func (d *Door) keys(r request) (any, error) {
	if _, err := r.query(); err != nil {
		return nil, err
	}
	return d.listKeys(r)
}

func (d *Door) listKeys(r request) (any, error) {
	rows, err := d.Ring.List(r.Context())
	if err != nil {
		return nil, failed(err)
	}
	out := make([]keyBody, 0, len(rows))
	for i := range rows {
		out = append(out, showKey(&rows[i]))
	}
	return map[string]any{"keys": out}, nil
}

// rotateKeys lets the next keys take over; now=true does not wait until they were published for a day.
func (d *Door) rotateKeys(r request) (any, error) {
	var body struct {
		Now bool `json:"now"`
	}
	if err := httpd.DecodeJSON(r.Request, &body, true); err != nil {
		return nil, err
	}
	if err := d.Ring.Rotate(r.Context(), body.Now, d.audit(r)); err != nil {
		return nil, failed(err)
	}
	return d.listKeys(r)
}

// dropKey refuses a signing key everywhere within seconds: the tokens it signed are refused too.
func (d *Door) dropKey(r request) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	err := d.Ring.Drop(r.Context(), r.PathValue("kid"), d.audit(r))
	if errors.Is(err, keyring.ErrNoSuchKey) {
		return nil, store.ErrNotFound
	}
	return nil, failed(err)
}

func showKey(k *keyring.Listed) keyBody {
	return keyBody{
		ID: k.ID, Kid: kid(&k.Key), Use: string(k.Use), Alg: k.Alg, State: string(k.State),
		CreatedAt: k.CreatedAt.UTC(), ActiveAt: moment(k.ActiveAt),
		RetiredAt: moment(k.RetiredAt), ExpiresAt: moment(k.ExpiresAt), DroppedAt: moment(k.DroppedAt),
	}
}

// kid reads it from the published half.
func kid(k *domain.Key) string {
	var public struct {
		Kid string `json:"kid"`
	}
	if json.Unmarshal(k.Public, &public) != nil {
		return "" // a data key
	}
	return public.Kid
}
