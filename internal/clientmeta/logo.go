package clientmeta

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// MaxLogo is how large a logo may be: it is kept in the database and sent with every page.
const MaxLogo = 32 << 10

const (
	typePNG  = "image/png"
	typeJPEG = "image/jpeg"
	typeWebP = "image/webp"
	typeSVG  = "image/svg+xml"
)

// LogoType says what an image is by its content; empty for what we do not serve.
func LogoType(image []byte) string {
	switch {
	case bytes.HasPrefix(image, []byte("\x89PNG\r\n\x1a\n")):
		return typePNG
	case bytes.HasPrefix(image, []byte("\xff\xd8\xff")):
		return typeJPEG
	case len(image) > 12 && string(image[:4]) == "RIFF" && string(image[8:12]) == "WEBP":
		return typeWebP
	case isSVG(image):
		return typeSVG
	}
	return ""
}

// elements reads the elements of an XML document until do returns false or it ends. What Go's parser does not
// understand, an entity of its own for instance, is an error: no browser shall read more in it than we did.
func elements(document []byte, do func(xml.StartElement) bool) error {
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := token.(xml.StartElement); ok && !do(e) {
			return nil
		}
	}
}

func isSVG(image []byte) bool {
	root := false
	err := elements(image, func(e xml.StartElement) bool {
		root = e.Name.Local == "svg" && e.Name.Space == "http://www.w3.org/2000/svg"
		return false
	})
	return err == nil && root
}

// svgActs tells whether an SVG does more than draw. It is shown as an image and under a policy that lets nothing run;
// but a file that tries has no business here.
func svgActs(image []byte) bool {
	acts := false
	err := elements(image, func(e xml.StartElement) bool {
		switch strings.ToLower(e.Name.Local) {
		case "script", "foreignobject", "iframe", "handler":
			acts = true
		}
		for _, a := range e.Attr {
			name, value := strings.ToLower(a.Name.Local), strings.ToLower(strings.TrimSpace(a.Value))
			if strings.HasPrefix(name, "on") || (name == "href" && !strings.HasPrefix(value, "#") && !strings.HasPrefix(value, "data:image/")) {
				acts = true
			}
		}
		return !acts
	})
	return err != nil || acts || bytes.Contains(bytes.ToLower(image), []byte("<script"))
}

// CheckLogo judges an image that is to stand on our pages: the one road for this decision. Both texts are empty for a good
// one, and for none at all.
func CheckLogo(image []byte) (text, remedy string) {
	switch kind := LogoType(image); {
	case len(image) == 0:
	case len(image) > MaxLogo:
		return "it is larger than 32 KiB", "make the image smaller: 256 pixels are enough"
	case kind == "":
		return "it is no PNG, JPEG, WebP or SVG image", "convert it to one of these"
	case kind == typeSVG && svgActs(image):
		return "the SVG has a script, an event handler or a link in it, or is broken", "remove them, or convert it to PNG"
	}
	return "", ""
}
