package pages

import (
	"bytes"
	"errors"
	"html/template"
	"strings"

	"github.com/countersign/countersign/internal/flow"
	"github.com/countersign/countersign/internal/oauth"
)

// DetailBox is one entry of authorization_details (RFC 9396): everything it says, for nothing else is agreed to.
type DetailBox struct {
	Type  string
	Title string // as the resource declares it; empty: the type. A text "detail.TYPE" of the locales comes first
	Lines []DetailLine
}

// DetailLine is a member of an entry, or of an object in it, or an item of a list.
type DetailLine struct {
	Path  string // names from the type on, for texts of the locales: payment.amount.currency
	Name  string // empty: an item of a list
	Text  string // as the client wrote it
	Word  string // a key of the locales, for what has no text: true, false, and what is empty
	Lines []DetailLine

	Common bool // a member that every type has (RFC 9396 §2.2)
}

func detailBoxes(list []flow.Detail) []DetailBox {
	var boxes []DetailBox
	for _, d := range list {
		box := DetailBox{Type: d.Type, Title: d.Title, Lines: detailLines(d.Type, d.Members)}
		for i := range box.Lines {
			box.Lines[i].Common = oauth.CommonDetail(box.Lines[i].Name)
		}
		boxes = append(boxes, box)
	}
	return boxes
}

func detailLines(path string, members []flow.DetailMember) []DetailLine {
	var lines []DetailLine
	for _, m := range members {
		line := DetailLine{Path: path, Name: m.Name, Text: m.Text}
		if m.Name != "" {
			line.Path += "." + m.Name
		}
		if m.Word != "" {
			line.Word = "details." + string(m.Word)
		}
		line.Lines = detailLines(line.Path, m.Items)
		lines = append(lines, line)
	}
	return lines
}

// detail is what people call a type: the locale's word, the resource's, or the type itself.
func (l *locale) detail(box DetailBox) string {
	if text, known := l.texts["detail."+box.Type]; known {
		return text
	}
	if box.Title != "" {
		return box.Title
	}
	return box.Type
}

// member is what people call a member: the locale's word, ours for those that every type has, or its name.
func (l *locale) member(line DetailLine) string {
	if text, known := l.texts["detail."+line.Path]; known && !strings.Contains(line.Name, ".") {
		return text
	}
	if text, known := l.texts["details."+line.Name]; known && line.Common {
		return text
	}
	return line.Name
}

// unseen is what a consent page must show wherever it shows anything.
const unseen = "8f1d0c52"

// showsDetails refuses a consent page of the operator's own that asks about what it does not show.
func showsDetails(t *template.Template) error {
	line := DetailLine{Path: "type.name", Name: "name", Text: unseen}
	sample := Consent{Details: []DetailBox{{Type: "type", Lines: []DetailLine{line, {Path: "type.list", Name: "list", Lines: []DetailLine{line}}}}}}
	var b bytes.Buffer
	if err := t.Execute(&b, sample); err != nil {
		return err
	}
	if strings.Count(b.String(), unseen) < 2 {
		return errors.New("the page does not show .Details, which people agree to on it: take the part from the built-in consent.html")
	}
	return nil
}
