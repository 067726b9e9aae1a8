package config

import "github.com/countersign/countersign/internal/clientmeta"

func (v check) clientLogo(i int) {
	if text, remedy := clientmeta.CheckLogo(v.Clients[i].Logo); text != "" {
		v.add(at("clients", i, "logo_file"), text, remedy)
	}
}
