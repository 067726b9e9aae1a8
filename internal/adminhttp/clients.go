package adminhttp

import "github.com/countersign/countersign/internal/oauth"

// client is the one the path names.
func (r request) client() string { return oauth.FromSegment(r.PathValue("id")) }

type clientBody struct {
	ID       string `json:"id"`
	Disabled bool   `json:"disabled"`
}

func (d *Door) disableClient(r request) (any, error) { return d.setClient(r, true) }

func (d *Door) enableClient(r request) (any, error) { return d.setClient(r, false) }

func (d *Door) setClient(r request, disabled bool) (any, error) {
	if err := r.empty(); err != nil {
		return nil, err
	}
	client := r.client()
	e := d.audit(r)
	e.ClientID = client
	if err := d.DB.SetClientDisabled(r.Context(), client, disabled, e); err != nil {
		return nil, failed(err)
	}
	return clientBody{ID: client, Disabled: disabled}, nil
}
