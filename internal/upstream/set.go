package upstream

import "fmt"

// Set is all configured providers.
type Set struct {
	byIssuer, byName map[string]*Provider
	tenanted         []*Provider // with an issuer per tenant: no list of them ends
}

// NewSet indexes providers by issuer; two providers with one issuer, or one name, are an error.
func NewSet(providers ...*Provider) (*Set, error) {
	s := &Set{byIssuer: make(map[string]*Provider), byName: make(map[string]*Provider)}
	for _, p := range providers {
		if _, taken := s.byName[p.name]; taken {
			return nil, fmt.Errorf("upstream providers: two have the name %s", p.name)
		}
		s.byName[p.name] = p
		if p.tenants != nil {
			if err := s.addTenanted(p); err != nil {
				return nil, err
			}
			continue
		}
		for _, iss := range p.issuers {
			if other, taken := s.byIssuer[iss]; taken {
				return nil, fmt.Errorf("upstream providers: %s and %s have the same issuer %s", other.name, p.name, iss)
			}
			s.byIssuer[iss] = p
		}
	}
	for iss, p := range s.byIssuer {
		for _, other := range s.tenanted {
			if _, taken := other.Canonical(iss); taken {
				return nil, fmt.Errorf("upstream providers: %s and %s have the same issuer %s", other.name, p.name, iss)
			}
		}
	}
	return s, nil
}

func (s *Set) addTenanted(p *Provider) error {
	for _, other := range s.tenanted {
		if p.tenants.overlap(other.tenants) {
			return fmt.Errorf("upstream providers: %s and %s admit the same tenant", other.name, p.name)
		}
	}
	s.tenanted = append(s.tenanted, p)
	return nil
}

// ByIssuer returns the provider with this exact issuer spelling.
func (s *Set) ByIssuer(iss string) (*Provider, bool) {
	if p, ok := s.byIssuer[iss]; ok {
		return p, true
	}
	for _, p := range s.tenanted {
		if _, ok := p.Canonical(iss); ok {
			return p, true
		}
	}
	return nil, false
}

// ByName returns the provider with this name.
func (s *Set) ByName(name string) (*Provider, bool) {
	p, ok := s.byName[name]
	return p, ok
}
