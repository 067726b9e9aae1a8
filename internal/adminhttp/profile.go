package adminhttp

import (
	"errors"

	"github.com/countersign/countersign/internal/domain"
	"github.com/countersign/countersign/internal/httpd"
	"github.com/countersign/countersign/internal/signin"
	"github.com/countersign/countersign/internal/store"
)

// profileBody is what an operator may write: what a person may, and that the phone number was proved.
type profileBody struct {
	domain.Details

	PhoneNumberVerified bool `json:"phone_number_verified"`
}

func (d *Door) profile(r request) (any, error) {
	acc, err := id[domain.AccountID](r.PathValue("id"), "The account id")
	if err != nil {
		return nil, store.ErrNotFound
	}
	row, err := d.DB.Profile(r.Context(), acc)
	if err != nil {
		return nil, failed(err)
	}
	return row.Profile, nil
}

// editProfile replaces the whole profile.
func (d *Door) editProfile(r request) (any, error) {
	var body profileBody
	if err := httpd.DecodeJSON(r.Request, &body, false); err != nil {
		return nil, err
	}
	acc, err := id[domain.AccountID](r.PathValue("id"), "The account id")
	if err != nil {
		return nil, store.ErrNotFound
	}
	p, err := d.SignIn.EditProfile(r.Context(), acc, signin.Edit{
		Details: body.Details, Verified: &body.PhoneNumberVerified, Event: d.audit(r),
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, store.ErrNotFound
	}
	return p, err
}
